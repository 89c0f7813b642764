"""The tables of docs/boards.md, from hardware files and emulated boards.

`python -m tests.devices.jetson.page --write` writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tuner.boards.hardware import Hardware, load_hardware
from tuner.ports import Supported, Unsupported
from tuner.space import Option
from tuner_emulator.board import EmulatedBoard
from tuner_emulator.spec import releases

from .boards import MortalFiles, open_device

DOCS = Path(__file__).parents[3] / "docs" / "boards.md"
BEGIN, END = "<!-- generated -->", "<!-- end -->"
#: In the order of the boards' age.
BOARDS = (
    "jetson-tx1",
    "jetson-nano",
    "jetson-tx2",
    "jetson-agx-xavier",
    "jetson-xavier-nx",
    "jetson-agx-orin",
    "jetson-orin-nx",
    "jetson-orin-nano",
    "jetson-agx-thor",
)


def page() -> str:
    """Return the generated part."""
    return "\n".join(line for board in BOARDS for line in _board(board))


def _board(name: str) -> Iterator[str]:
    hardware = load_hardware(name)
    yield f"### {name}"
    yield ""
    yield f"{hardware.description}."
    yield ""
    yield "| option | levels |"
    yield "|---|---|"
    majors = releases()[name]
    options = {major: _options(name, major) for major in majors}
    newest = options[majors[-1]]
    for option in newest:
        yield f"| `{option.name}` | {_levels(option)} |"
    yield ""
    yield from _differences(name, options)
    yield from _facts(hardware)
    yield ""


def _options(name: str, major: int) -> Sequence[Option]:
    return [p.option for p in open_device(_files(name, major)).probe() if isinstance(p, Supported)]


def _files(name: str, major: int) -> MortalFiles:
    board = EmulatedBoard(name, f"{major}.4", latency=False)
    # In the mode with all cores: a cluster that is off does not tell its levels.
    board.replace_text("/var/lib/nvpmodel/status", f"pmode:{_widest(board):04d}\n")
    board.reboot()
    return MortalFiles(board)


def _widest(board: EmulatedBoard) -> int:
    return max(board.spec.modes, key=lambda mode: (len(mode.cpus), -mode.ident)).ident


def _levels(option: Option) -> str:
    if option.kind == "categorical":
        return ", ".join(map(str, option.values))
    low, high = option.values[0], option.values[-1]
    if len(option.values) <= 4 and not option.unit:
        return ", ".join(map(str, option.values))
    scale, unit = {"kHz": (1e3, " MHz"), "Hz": (1e6, " MHz")}.get(option.unit, (1, ""))
    ends = " to ".join(f"{float(end) / scale:.10g}" for end in (low, high))
    return f"{len(option.values)}: {ends}{unit}"


def _differences(name: str, options: dict[int, Sequence[Option]]) -> Iterator[str]:
    """Yield what other releases have else."""
    *older, newest = options
    for major in older:
        known = {o.name: _levels(o) for o in options[newest]}
        other = {o.name: _levels(o) for o in options[major]}
        changes = [f"`{n}` {v}" for n, v in other.items() if known.get(n) != v]
        changes += [f"no `{n}`" for n in known if n not in other]
        if changes:
            yield f"With L4T R{major}: {'; '.join(changes)}."
            yield ""


def _facts(hardware: Hardware) -> Iterator[str]:
    limits = hardware.limits
    missing = [
        p
        for p in open_device(_files(hardware.name, releases()[hardware.name][-1])).probe()
        if isinstance(p, Unsupported)
    ]
    for probe in missing:
        yield f"- Not an option: `{probe.name}`: {probe.reason}."
    for rails in hardware.rails[:1]:
        yield f"- Power: {rails.provenance}."
    yield (
        f"- Guard: a measurement counts up to {limits.measure_c:g} °C, above {limits.abort_c:g} °C everything is "
        f"put back at once, a trial starts below {limits.cool_down_to_c:g} °C."
    )


def _write() -> None:
    text = DOCS.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    DOCS.write_text(f"{before}{BEGIN}\n{page()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    if "--write" in sys.argv:
        _write()
    else:
        print(page())
