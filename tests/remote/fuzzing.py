"""Messages of a hostile peer to the actuator: nothing outside of the probed tables may ever be written.

    python -m tests.remote.fuzzing [MESSAGES] [SEED] [BOARD]

The board is one in memory, or the EMULATED Jetson that BOARD names (slower). Prints how many messages were sent,
answered well and refused, and how many writes they caused; ends with an error at the first write that is no level of a
probed option, at a missing reply, and where the board is not put back.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.devices.jetson.boards import MortalFiles, open_device
from tests.remote.fakes import START, FakeDevice, levels, server_over
from tuner.ports import Supported
from tuner.remote.board import OwnedBoard
from tuner.remote.protocol import MAX_REQUEST, MESSAGES
from tuner.remote.server import Server
from tuner_emulator.board import EmulatedBoard
from tuner_plugins.devices.jetson.detect import hardware_of, identify
from tuner_plugins.devices.jetson.device import JetsonDevice
from tuner_plugins.devices.jetson.files import BoardFiles

_HOSTILE: tuple[Any, ...] = (
    "",
    "/sys/devices/system/cpu/cpu0/online",
    "../../etc/passwd",
    "$(reboot)",
    "; rm -rf /",
    "cores\0",
    "policy0/limits",
    "cpu1/online",
    "__class__",
    "write_option",
    "é" * 40,
    "x" * 200,
    -1,
    0,
    1,
    2**63,
    10**23,
    1.5,
    -0.0,
    1e308,
    True,
    False,
    None,
    [],
    {},
    [[]],
    {"cores": 4},
    ["cores"],
    "\ud800",
)


@dataclass
class Tally:
    """How many messages were sent, accepted and refused, and how many writes they caused."""

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
    tables = levels()

    def check(line: bytes, is_refused: bool) -> int:
        assert not (is_refused and device.writes), f"{line!r} was refused and wrote {device.writes}"
        for name, value in device.writes:
            allowed = [*tables[name], START[name]]
            assert any(type(value) is type(v) and value == v for v in allowed), f"{line!r} wrote {name} = {value!r}"
        count = len(device.writes)
        device.writes.clear()
        return count

    server = server_over(device, journal_dir)
    tally = _send(server, messages, seed, check)
    assert values == START, "the board was not put back"
    assert not list(journal_dir.glob("*.journal"))
    return tally


def fuzz_emulated(messages: int, seed: int, journal_dir: Path, board: str) -> Tally:
    """Send `messages` to an actuator that owns an EMULATED Jetson.

    Raises:
        AssertionError: a path was written that the hardware file does not declare, or a word that is no level, no
            original and no switch; or the board is not as it was.
    """
    emulated = EmulatedBoard(board, seed=seed, latency=False, load="constant 0.5")
    files = RecordingFiles(emulated)
    identity = identify(files)
    assert identity is not None
    writable = hardware_of(identity).writable(identity.release)
    guard = BoardFiles(files, writable)
    words = {"0", "1", "on", "auto", str(2**63 - 1)}
    for pattern in writable:
        for path in emulated.glob(pattern):
            with contextlib.suppress(OSError):
                words.update(emulated.read_text(path).split())

    def opened() -> tuple[JetsonDevice, tuple[()]]:
        device = open_device(files)
        for probe in device.probe():
            if isinstance(probe, Supported):
                words.update(map(str, probe.option.values))
        return device, ()

    def check(line: bytes, _is_refused: bool) -> int:
        for path, text in files.written:
            assert guard.may_write(path), f"{line!r} wrote {path}"
            assert text.strip() in words, f"{line!r} wrote {text!r} to {path}"
        count = len(files.written)
        files.written.clear()
        return count

    tally = _send(Server(lambda: OwnedBoard(opened, journal_dir)), messages, seed, check)
    assert emulated.dirty() == []
    assert not list(journal_dir.glob("*.journal"))
    return tally


class RecordingFiles(MortalFiles):
    """An emulated board's files, and what is written to them."""

    def __init__(self, board: EmulatedBoard) -> None:
        super().__init__(board)
        self.written: list[tuple[str, str]] = []

    def write_text(self, path: str, text: str) -> None:
        self.written.append((path, text))
        super().write_text(path, text)


def _send(server: Server, messages: int, seed: int, check: Callable[[bytes, bool], int]) -> Tally:
    """Send messages and close; `check` gets each line and whether it was refused, and counts the writes."""
    rng, tally = random.Random(seed), Tally()
    hello = json.loads(server.answer(b'{"id":0,"do":"hello","version":1,"heartbeat_s":null}'))["ok"]
    check(b"hello", False)
    tables = {p["name"]: p["values"] for p in hello["probes"] if "values" in p}
    for ident in range(1, messages + 1):
        line = rng.choice(_KINDS)(rng, ident, tables)
        reply = json.loads(server.answer(line))
        tally.messages += 1
        if "ok" in reply:
            tally.accepted += 1
        else:
            assert reply["error"]["kind"].endswith("Error"), reply
            assert reply["error"]["what"], reply
            tally.refused += 1
        tally.writes += check(line, "ok" not in reply)
    server.close()
    return tally


Tables = Mapping[str, Sequence[Any]]


def _noise(rng: random.Random, ident: int, tables: Tables) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 8, 64, 512)))


def legal(rng: random.Random, ident: int, tables: Tables) -> bytes:
    chosen = rng.sample(list(tables), rng.randrange(len(tables) + 1))
    target = {name: rng.choice(tables[name]) for name in chosen}
    do = rng.choice(("apply", "apply", "verify", "read", "restore" if rng.random() < 0.05 else "ping"))
    fields: dict[str, Any] = {"apply": {"target": target}, "verify": {"target": target}}.get(do, {})
    if do == "read":
        fields = {"options": chosen}
    return _line({"id": ident, "do": do, **fields})


def _twisted(rng: random.Random, ident: int, tables: Tables) -> bytes:
    """A legal message with one thing replaced by something hostile."""
    data = json.loads(legal(rng, ident, tables))
    target = data.get("target")
    place = rng.randrange(4)
    if isinstance(target, dict) and place < 2:
        name = rng.choice([*tables] + [h for h in _HOSTILE if isinstance(h, str)])
        target[name] = rng.choice(_HOSTILE)
    elif place == 2:
        data[rng.choice(["do", "id", "target", "options", "path", "command"])] = rng.choice(_HOSTILE)
    else:
        data["do"] = rng.choice([*MESSAGES, "write", "exec", "__init__"])
        data.update({rng.choice(["target", "options", "meter", "version"]): rng.choice(_HOSTILE)})
    return _line(data)


def _damaged(rng: random.Random, ident: int, tables: Tables) -> bytes:
    """A message with some of its bytes changed, cut out or doubled."""
    data = bytearray((_twisted if rng.random() < 0.5 else legal)(rng, ident, tables))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return bytes(data).replace(b"\n", b" ")


def _absurd(rng: random.Random, ident: int, tables: Tables) -> bytes:
    """Deep, long, twice the same key, numbers without end."""
    return rng.choice(
        (
            b"[" * 5000,
            b'{"id":' * 3000,
            b'{"id":1,"do":"apply","target":{"cores":' + b"9" * 4000 + b"}}",
            b'{"id":1,"do":"apply","target":{"cores":4,"cores":1}}',
            b'{"id":1,"do":"apply","target":{"cores":NaN}}',
            b'{"id":1,"do":"apply","target":{"cores":1e999}}',
            b'{"id":true,"do":"ping"}',
            _line({"id": 1, "do": "read", "options": ["cores"] * 300}),
            b'"' + b"a" * (MAX_REQUEST - 10) + b'"',
        )
    )


def _line(data: Any) -> bytes:
    return json.dumps(data).encode()


_KINDS = (legal, _twisted, _twisted, _twisted, _damaged, _damaged, _damaged, _noise, _twisted, _absurd)


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 3:
            tally = fuzz_emulated(messages, seed, Path(folder), sys.argv[3])
        else:
            tally = fuzz(messages, seed, Path(folder))
    print(f"{tally.messages} messages: {tally.accepted} accepted, {tally.refused} refused, {tally.writes} writes,")
    print("each of them a level of a probed option; the board was put back.")


if __name__ == "__main__":
    main()
