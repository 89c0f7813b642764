"""The messages between a session and the actuator that owns a board: JSON lines, strictly checked.

A request is ``{"id": 7, "do": "apply", "target": {"gpu_freq_hz": 114750000}}``, its reply ``{"id": 7, "ok": {...}}`` or
``{"id": 7, "error": {...}}``, as `tuner.error_codec` writes errors. There is no message that carries a path
or a command: only names of options and meters, and levels.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping  # noqa: UP035 - subscripted at run time by Python 3.8

from tuner.error_codec import error_from_json, error_to_json
from tuner.errors import BoardProtocolError, TunerError
from tuner.ports.option import Probe, Supported, Unsupported
from tuner.space import Condition, Option, OptionValue
from tuner.strict_json import parse_json

VERSION = 1
#: Longest line that the actuator takes, and that it sends, in bytes with the newline.
MAX_REQUEST = 1 << 16
MAX_REPLY = 1 << 22
#: Most options in one request, longest name.
MAX_NAMES = 256
MAX_NAME = 128
_HEARTBEAT_S = (1.0, 3600.0)


@dataclass(frozen=True)
class Request:
    """One message of the peer, its form checked.

    Attributes:
        ident: Comes back in the reply.
        do: One of `MESSAGES`.
        fields: Exactly those that the message has.
    """

    ident: int
    do: str
    fields: Mapping[str, Any]


def _name(raw: object) -> str:
    if not isinstance(raw, str) or not 0 < len(raw) <= MAX_NAME or not raw.isprintable():
        raise ValueError("is no name")
    return raw


def _names(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or len(raw) > MAX_NAMES:
        raise ValueError("is no list of names")
    return tuple(_name(one) for one in raw)


def _target(raw: object) -> dict[str, OptionValue]:
    if not isinstance(raw, dict) or len(raw) > MAX_NAMES:
        raise ValueError("is no mapping of options to values")
    for name, value in raw.items():
        _name(name)
        if not isinstance(value, (bool, int, float, str)):
            raise ValueError("holds a value that is neither number, text, true nor false")
    return raw


def _version(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise ValueError("is no version")
    return raw


def _heartbeat_s(raw: object) -> float | None:
    if raw is None:
        return None
    low, high = _HEARTBEAT_S
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not low <= raw <= high:
        raise ValueError(f"is no number of seconds from {low:g} to {high:g}")
    return float(raw)


#: Message -> field -> what checks it. Every field has to be there, and no other.
MESSAGES: Mapping[str, Mapping[str, Callable[[object], Any]]] = {
    "hello": {"version": _version, "heartbeat_s": _heartbeat_s},
    "probe": {},
    "read": {"options": _names},
    "apply": {"target": _target},
    "verify": {"target": _target},
    "restore": {},
    "sensors": {},
    "boot_id": {},
    "energy_begin": {"meter": _name},
    "energy_end": {"meter": _name},
    "guard_start": {},
    "guard_mark": {},
    "guard_stop": {},
    "ping": {},
}
#: The one message that no request asked for, ``{"event": "alarm", "reason": ...}``: a guard saw a hard limit passed and
#: the board has been put back.
ALARM = "alarm"


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def request_line(ident: int, do: str, fields: Mapping[str, Any]) -> bytes:
    """Return a request as a line."""
    return encode({"id": ident, "do": do, **fields})


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line.

    Raises:
        BoardProtocolError: no JSON that `parse_json` takes, or no object.
    """
    try:
        data = parse_json(line)
    except ValueError as error:
        raise malformed(f"is no JSON that is taken here ({type(error).__name__})") from error
    if not isinstance(data, dict):
        raise malformed("is no JSON object")
    return data


def parse_request(line: bytes) -> Request:
    """Return the request of a line; what it asks for is not checked against any board.

    Raises:
        BoardProtocolError: not exactly of the form of one of `MESSAGES`.
    """
    data = parse_line(line)
    ident, do = data.pop("id", None), data.pop("do", None)
    if isinstance(ident, bool) or not isinstance(ident, int):
        raise malformed("has no whole number as 'id'")
    if not isinstance(do, str) or do not in MESSAGES:
        raise malformed("asks for nothing that there is")
    wanted = MESSAGES[do]
    if set(data) != set(wanted):
        raise malformed(f"'{do}' needs the fields {sorted(wanted) or 'none'} and no other")
    fields = {}
    for key, check in wanted.items():
        try:
            fields[key] = check(data[key])
        except ValueError as error:
            raise malformed(f"'{do}' has a field '{key}' that {error}") from error
    return Request(ident, do, fields)


def ident_of(line: bytes) -> int | None:
    """Return the id of a line that need not be a request, None where it has none."""
    try:
        ident = parse_line(line).get("id")
    except BoardProtocolError:
        return None
    return ident if isinstance(ident, int) and not isinstance(ident, bool) else None


@contextlib.contextmanager
def form_of(what: str) -> Iterator[None]:
    """Raise the error for a message in which something is missing, or is of another type, for `what` is wrong with it.

    Raises:
        BoardProtocolError: so it is.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise malformed(what) from error


def malformed(what: str) -> BoardProtocolError:
    """Return the error for a message that is not of the protocol."""
    return BoardProtocolError(f"A message {what}.", "Use the same version of tuner on both sides.")


# --- errors and probes as JSON ------------------------------------------------------------------


def error_line(ident: int | None, error: TunerError) -> bytes:
    """Return the reply that carries an error, as a line."""
    data = error_to_json(error)
    return encode({"id": ident, "error": {**data, "kind": data["error"]}})  # earlier versions read `kind`


def error_of(data: object) -> TunerError:
    """Return the error that a reply carries, or the one for a reply of another form."""
    try:
        return error_from_json({"error": data.get("kind"), **data} if isinstance(data, dict) else data)
    except ValueError:
        return malformed("carries an error of another form")


def probe_to_json(probe: Probe) -> dict[str, Any]:
    """Return what the board says of one option."""
    if isinstance(probe, Unsupported):
        return {"name": probe.name, "reason": probe.reason, "remedy": probe.remedy}
    option, condition = probe.option, probe.option.condition
    return {
        "name": option.name,
        "values": list(option.values),
        "kind": option.kind,
        "unit": option.unit,
        "aliases": list(option.aliases),
        "description": option.description,
        "current": probe.current,
        "condition": {"parent": condition.parent, "values": list(condition.values)} if condition else None,
    }


def probe_from_json(data: Mapping[str, Any]) -> Probe:
    """Return what a board said of one option.

    Raises:
        BoardProtocolError: of another form.
    """
    with form_of("describes an option in another form"):
        if "reason" in data:
            return Unsupported(str(data["name"]), str(data["reason"]), str(data["remedy"]))
        given = data["condition"]
        condition = Condition(str(given["parent"]), tuple(given["values"])) if given else None
        option = Option(
            name=str(data["name"]),
            values=tuple(data["values"]),
            kind=data["kind"],
            scope="board",
            unit=str(data["unit"]),
            aliases=tuple(data["aliases"]),
            condition=condition,
            description=str(data["description"]),
        )
        return Supported(option, option.values[option.index(data["current"])])
