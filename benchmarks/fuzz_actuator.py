"""Messages of a hostile peer to the actuator: nothing outside of the probed tables may ever be written.

    python benchmarks/fuzz_actuator.py [MESSAGES] [SEED]

Prints how many messages were sent, answered well and refused, how many writes they caused, and ends with an error
at the first write that is no level of a probed option, at a missing reply, and where the board is not put back.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.actuator.fakes import OPTIONS, START, FakeDevice, levels, server_over
from tuner.actuator.protocol import MAX_REQUEST, MESSAGES

_HOSTILE: tuple[Any, ...] = (
    "", "/sys/devices/system/cpu/cpu0/online", "../../etc/passwd", "$(reboot)", "; rm -rf /", "cores\0",
    "policy0/limits",
    "cpu1/online", "__class__", "write_option", "é" * 40, "x" * 200, -1, 0, 1, 2**63, 10**23, 1.5, -0.0, 1e308, True,
    False, None, [], {}, [[]], {"cores": 4}, ["cores"], "\ud800",
)  # fmt: skip


@dataclass
class Tally:
    """What became of the messages."""

    messages: int = 0
    accepted: int = 0
    refused: int = 0
    writes: int = 0


def fuzz(messages: int, seed: int, journal_dir: Path) -> Tally:
    """Send `messages` to an actuator over a board in memory.

    Raises:
        AssertionError: something was written that no table has, or something was not answered, or not put back.
    """
    values = dict(START)
    device = FakeDevice(values)
    tables, tally, rng = levels(), Tally(), random.Random(seed)
    server = server_over(device, journal_dir)
    for line in _lines(rng, messages):
        before = dict(values)
        reply = json.loads(server.answer(line))
        tally.messages += 1
        if "ok" in reply:
            tally.accepted += 1
        else:
            assert reply["error"]["kind"].endswith("Error"), reply
            assert reply["error"]["what"], reply
            assert not device.writes, f"{line!r} was refused and wrote {device.writes}"
            assert values == before
            tally.refused += 1
        for name, value in device.writes:
            allowed = [*tables[name], START[name]]
            assert any(type(value) is type(v) and value == v for v in allowed), (
                f"{line!r} wrote {name} = {value!r}"
            )
        tally.writes += len(device.writes)
        device.writes.clear()
    server.close()
    assert values == START, "the board was not put back"
    assert not list(journal_dir.glob("*.journal"))
    return tally


def _lines(rng: random.Random, count: int) -> Iterator[bytes]:
    yield b'{"id":0,"do":"hello","version":1,"heartbeat_s":null}'
    for ident in range(1, count):
        yield rng.choice(_KINDS)(rng, ident)


def _noise(rng: random.Random, ident: int) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 8, 64, 512)))


def _legal(rng: random.Random, ident: int) -> bytes:
    chosen = rng.sample(OPTIONS, rng.randrange(len(OPTIONS) + 1))
    target = {o.name: rng.choice(o.values) for o in chosen}
    do = rng.choice(("apply", "apply", "verify", "read", "restore" if rng.random() < 0.05 else "ping"))
    fields: dict[str, Any] = {"apply": {"target": target}, "verify": {"target": target}}.get(do, {})
    if do == "read":
        fields = {"options": [o.name for o in chosen]}
    return _line({"id": ident, "do": do, **fields})


def _twisted(rng: random.Random, ident: int) -> bytes:
    """A legal message with one thing replaced by something hostile."""
    data = json.loads(_legal(rng, ident))
    target = data.get("target")
    place = rng.randrange(4)
    if isinstance(target, dict) and place < 2:
        name = rng.choice([o.name for o in OPTIONS] + [h for h in _HOSTILE if isinstance(h, str)])
        target[name] = rng.choice(_HOSTILE)
    elif place == 2:
        data[rng.choice(["do", "id", "target", "options", "path", "command"])] = rng.choice(_HOSTILE)
    else:
        data["do"] = rng.choice([*MESSAGES, "write", "exec", "__init__"])
        data.update({rng.choice(["target", "options", "meter", "version"]): rng.choice(_HOSTILE)})
    return _line(data)


def _damaged(rng: random.Random, ident: int) -> bytes:
    """A message with some of its bytes changed, cut out or doubled."""
    data = bytearray(_twisted(rng, ident) if rng.random() < 0.5 else _legal(rng, ident))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return bytes(data).replace(b"\n", b" ")


def _absurd(rng: random.Random, ident: int) -> bytes:
    """Deep, long, twice the same key, numbers without end."""
    return rng.choice((
        b"[" * 5000, b'{"id":' * 3000, b'{"id":1,"do":"apply","target":{"cores":' + b"9" * 4000 + b"}}",
        b'{"id":1,"do":"apply","target":{"cores":4,"cores":1}}', b'{"id":1,"do":"apply","target":{"cores":NaN}}',
        b'{"id":1,"do":"apply","target":{"cores":1e999}}', b'{"id":true,"do":"ping"}',
        _line({"id": 1, "do": "read", "options": ["cores"] * 300}), b'"' + b"a" * (MAX_REQUEST - 10) + b'"',
    ))  # fmt: skip


def _line(data: Any) -> bytes:
    return json.dumps(data).encode()


_KINDS = (_legal, _twisted, _twisted, _twisted, _damaged, _damaged, _damaged, _noise, _twisted, _absurd)


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as folder:
        tally = fuzz(messages, seed, Path(folder))
    print(
        f"{tally.messages} messages: {tally.accepted} accepted, {tally.refused} refused, {tally.writes} writes,"
    )
    print("each of them a level of a probed option; the board was put back.")


if __name__ == "__main__":
    main()
