"""Power modes as configurations, and configurations as the lines of a mode (docs/nvpmodel.md).

A mode can say which cores are online, limits of clocks, and a cap of the memory's clock. What it cannot
say (governors, a locked memory clock) is kept in one comment of its block, and read back only where
it agrees with the lines: a mode that somebody edits means what its lines say.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tuner.errors import OptionValueError
from tuner.space import Configuration, OptionValue

from .board import (
    FIXED,
    UNLOCKED,
    ModeBoard,
    ModeClock,
    ModeEmc,
    Target,
    at_least,
    at_most,
    cpu_range,
    gpu_range,
    targets_of,
)
from .conf import Document, Mode, Setting, parse

#: Begins a comment that carries what lines cannot; also the mark of a mode that tuner wrote.
REMARK = "tuner options:"
#: Nobody says how long a line nvpmodel's own parser takes; its makers' are shorter than this.
COMMENT_WIDTH = 100
_REMARK = re.compile(rf"#\s*{REMARK}(.*)")
_EMC, _EMC_GOVERNOR = "emc_freq_hz", "emc_governor"


# --- a mode as a configuration -----------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """What a mode comes to on a board.

    Attributes:
        mode: The mode.
        configuration: Of the board's options; empty where they cannot say the mode.
        reason: Why they cannot: a clause for people; ``""`` where they can.
    """

    mode: Mode
    configuration: Configuration
    reason: str = ""


class _NotSayableError(Exception):
    """The board's options cannot say a mode."""


def read_modes(text: str, board: ModeBoard) -> list[tuple[str, Configuration | str]]:
    """Return each mode of an nvpmodel.conf: its name, and its configuration or why there is none."""
    document = parse(text)
    readings = [read_mode(document, mode, board) for mode in document.modes]
    return [(r.mode.name, r.reason or r.configuration) for r in readings]


def read_mode(document: Document, mode: Mode, board: ModeBoard) -> Reading:
    """Return what `mode` comes to. What it does not mention counts as online, or as not limited."""
    targets = targets_of(document)
    remark = _remark(mode)
    try:
        said = _said(mode, targets)
        online = _online(said, board)
        configuration: dict[str, OptionValue] = dict(_core_counts(online, board))
        for clock in board.clocks:
            if not clock.cpus or any(map(online.__getitem__, clock.cpus)):
                configuration.update(_clock_options(clock, said, board, remark))
        if board.emc is not None:
            configuration.update(_emc_options(board.emc, said, board, remark))
    except _NotSayableError as error:
        return Reading(mode, {}, str(error))
    return Reading(mode, configuration)


def _said(mode: Mode, targets: Mapping[tuple[str, str], Target]) -> dict[Target, int]:
    """Return target -> number; where several lines hit one, the last counts."""
    result = {}
    for setting in mode.settings:
        target = targets.get((setting.param, setting.argument))
        if target is None:
            continue
        try:
            result[target] = int(setting.value)
        except ValueError as error:
            raise _NotSayableError(f"'{setting.text}' gives no number") from error
    return result


def _online(said: Mapping[Target, int], board: ModeBoard) -> dict[int, bool]:
    """Return whether each CPU of the board is online."""
    cpus = [*(c for g in board.cores for c in g.cpus), *(c for k in board.clusters for c in k.cpus)]
    online = {**dict.fromkeys(cpus, True), **dict.fromkeys(board.kept_off, False)}
    for target, value in said.items():
        if target.kind != "online":
            continue
        cpu, on = target.cpu, value != 0
        if not on and cpu == 0:
            raise _NotSayableError("it takes cpu0 offline")
        if board.group_of(cpu) is None and on != online.get(cpu, False):
            raise _NotSayableError(
                f"it {'brings' if on else 'takes'} cpu{cpu} {'on' if on else 'off'}line, which no option does here now"
            )
        online[cpu] = on
    return online


def _core_counts(online: Mapping[int, bool], board: ModeBoard) -> Iterator[tuple[str, int]]:
    for group in board.cores:
        chosen = tuple(cpu for cpu in group.cpus if online[cpu])
        if chosen != group.cpus[: len(chosen)]:
            raise _NotSayableError(
                f"it has cores {_listed(chosen)} online, and {group.option} brings them online "
                f"in the order {_listed(group.cpus)}"
            )
        yield group.option, len(chosen)


def _listed(cpus: Sequence[int]) -> str:
    return ",".join(map(str, cpus)) or "none"


def _clock_options(
    clock: ModeClock, said: Mapping[Target, int], board: ModeBoard, remark: Mapping[str, str]
) -> dict[str, OptionValue]:
    low, high = _levels_of(clock, said, board)
    options: dict[str, OptionValue] = {clock.freq_option: high}
    if not board.has_governors:
        return options
    governor = FIXED if low == high else clock.governor
    noted = remark.get(clock.governor_option, "")
    # Any governor fits limits that leave a choice; others fit a governor whose minimum leaves none either.
    if noted in clock.governors and (low != high or _range(clock, clock.minimum(high, noted), high, board)[0] == low):
        governor = noted
    return {**options, clock.governor_option: governor}


def _levels_of(clock: ModeClock, said: Mapping[Target, int], board: ModeBoard) -> tuple[int, int]:
    """Return the lowest and highest level that a mode leaves to a clock."""
    levels = clock.levels
    kind = "cpu" if clock.cpus else "gpu"
    low, high = levels[0], levels[-1]
    for target, value in said.items():
        if target.kind.startswith(kind) and (not clock.cpus or target.cpu in clock.cpus):
            if target.kind.endswith("max"):
                high = levels[-1] if value < 0 else value
            else:
                low = levels[-1] if value < 0 else value
    return _range(clock, low, high, board)


def unsaid_minima(document: Document, mode: Mode, board: ModeBoard) -> list[str]:
    """Return a sentence for each clock whose minimum in `mode` is another than the mode's configuration leaves it."""
    reading, said = read_mode(document, mode, board), _said(mode, targets_of(document))
    sentences = []
    for clock in board.clocks:
        if clock.freq_option not in reading.configuration:
            continue
        low, high = _levels_of(clock, said, board)
        governor = str(reading.configuration.get(clock.governor_option, ""))
        left, _ = _range(clock, clock.minimum(high, governor), high, board)
        if left != low:
            sentences.append(
                f"The mode's MIN_FREQ keeps {clock.freq_option} at {low} or more, which no option says: "
                f"where the profile is applied or exported, the minimum is {left}."
            )
    return sentences


def _range(clock: ModeClock, low: int, high: int, board: ModeBoard) -> tuple[int, int]:
    if clock.cpus:
        return cpu_range(clock.levels, low, high, board.snaps_cpu_limits)
    return gpu_range(clock.levels, low, high)


def _emc_options(
    emc: ModeEmc, said: Mapping[Target, int], board: ModeBoard, remark: Mapping[str, str]
) -> dict[str, OptionValue]:
    cap = said.get(Target("emc_cap"), -1)
    uncapped = cap < 0 or (cap == 0 and emc.cap_zero_is_none) or not emc.has_cap
    level = emc.levels[-1] if uncapped else (at_most if emc.cap_zero_is_none else at_least)(emc.levels, cap)
    if not board.has_governors:
        return {_EMC: level}
    if remark.get(_EMC_GOVERNOR) == FIXED:
        locked = next((f for f in emc.levels if str(f) == remark.get(_EMC)), None)
        if locked is not None and (locked == level or not emc.has_cap):
            return {_EMC: locked, _EMC_GOVERNOR: FIXED}
    return {_EMC: level, _EMC_GOVERNOR: UNLOCKED} if emc.has_cap else {_EMC_GOVERNOR: UNLOCKED}


def _remark(mode: Mode) -> dict[str, str]:
    words = [w for c in mode.comments if (match := _REMARK.match(c)) for w in match[1].split()]
    return dict(word.split("=", 1) for word in words if "=" in word)


def is_ours(mode: Mode) -> bool:
    """Return whether tuner wrote the mode."""
    return any(_REMARK.match(comment) for comment in mode.comments)


# --- a configuration as a mode -----------------------------------------------------------------


def completed(configuration: Configuration, board: ModeBoard) -> dict[str, OptionValue]:
    """Return `configuration` with the governors that it leaves out: a rate alone means a fixed one."""
    if not board.has_governors:
        return dict(configuration)
    pairs = [(c.freq_option, c.governor_option) for c in board.clocks]
    pairs += [(_EMC, _EMC_GOVERNOR)] if board.emc else []
    missing = {g: FIXED for f, g in pairs if f in configuration and g not in configuration}
    return {**configuration, **missing}


def remarks_of(configuration: Configuration, board: ModeBoard) -> list[str]:
    """Return the comments (without ``#``) that carry what the lines of a mode cannot; at least one."""
    wanted = completed(configuration, board)
    governors = [c.governor_option for c in board.clocks] + [_EMC_GOVERNOR]
    words = [f"{name}={wanted[name]}" for name in governors if name in wanted]
    if wanted.get(_EMC_GOVERNOR) == FIXED:
        words.append(f"{_EMC}={wanted[_EMC]}")
    return textwrap.wrap(
        " ".join(words),
        COMMENT_WIDTH,
        initial_indent=f"{REMARK} ",
        subsequent_indent=f"{REMARK} ",
        break_long_words=False,
        break_on_hyphens=False,
    ) or [REMARK]


def mode_settings(
    document: Document, template: Mode, configuration: Configuration, board: ModeBoard
) -> tuple[Setting, ...]:
    """Return the lines of a mode for `configuration`, under the PARAM names of `document`.

    Lines that are no option's (accelerators, GPU power, masks) are those of `template`, as are the
    lines of options that `configuration` leaves out.

    Raises:
        OptionValueError: an option, a level or a PARAM that the board or the file lacks.
    """
    wanted = completed(configuration, board)
    _require_known(wanted, board)
    targets = targets_of(document)
    values = _Values(wanted, board, _template_online(template, targets, board))
    _require_slots(values, set(targets.values()), wanted, board)
    result: list[Setting] = []
    written: set[tuple[str, str]] = set()
    for setting in template.settings:
        slot = (setting.param, setting.argument)
        value = values.of(targets[slot]) if slot in targets else setting.value
        if value == "":
            continue  # a cluster that is off has no limits to write
        written.add(slot)
        result.append(Setting(*slot, setting.value if value is None else value))
    for slot, target in sorted(targets.items(), key=lambda item: _rank(item[1])):
        value = values.of(target)
        if slot not in written and value and (slot[0] or not document.params):
            result.insert(_place(result, targets, target), Setting(*slot, value))
    return tuple(result)


class _Values:
    """What a configuration makes of each target."""

    def __init__(self, wanted: Configuration, board: ModeBoard, online: dict[int, bool]) -> None:
        self._wanted, self._board = wanted, board
        self.desired: dict[int, bool] = dict.fromkeys(board.kept_off, False)
        for group in board.cores:
            if group.option in wanted:
                count = int(wanted[group.option])
                self.desired.update({cpu: i < count for i, cpu in enumerate(group.cpus)})
        self._online = {**online, **self.desired}

    def is_on(self, clock: ModeClock) -> bool:
        """Return whether a clock drives anything: the GPU, or a cluster with a core online."""
        return not clock.cpus or any(self._online.get(cpu, True) for cpu in clock.cpus)

    def of(self, target: Target) -> str | None:
        """Return the text to write, None for what the template has, ``""`` for no line at all."""
        if target.kind == "online":
            return str(int(self.desired[target.cpu])) if target.cpu in self.desired else None
        if target.kind == "emc_cap":
            capped = self._board.emc is not None and self._board.emc.has_cap and _EMC in self._wanted
            return str(self._wanted[_EMC]) if capped else None
        gpu = target.kind.startswith("gpu")
        clock = self._board.gpu if gpu else self._board.cluster_of(target.cpu)
        if clock is None:
            return "" if target.cpu in self._board.kept_off else None
        if not self.is_on(clock):
            return ""
        if clock.freq_option not in self._wanted:
            return None
        freq = int(self._wanted[clock.freq_option])
        if target.kind.endswith("max"):
            return str(freq)
        governor = str(self._wanted.get(clock.governor_option, ""))
        return str(clock.minimum(freq, governor))


def _template_online(template: Mode, targets: Mapping[tuple[str, str], Target], board: ModeBoard) -> dict[int, bool]:
    found = ((targets.get((s.param, s.argument)), s.value) for s in template.settings)
    return {t.cpu: v.strip() != "0" for t, v in found if t is not None and t.kind == "online"}


def _require_known(wanted: Configuration, board: ModeBoard) -> None:
    """Raise for options and levels that the board lacks."""
    known: dict[str, Sequence[OptionValue]] = {g.option: range(len(g.cpus) + 1) for g in board.cores}
    for clock in board.clocks:
        known[clock.freq_option] = clock.levels
        if board.has_governors:
            known[clock.governor_option] = (FIXED, clock.governor, *clock.governors)
    if board.emc:
        known[_EMC] = board.emc.levels
        if board.has_governors:
            known[_EMC_GOVERNOR] = (FIXED, UNLOCKED)
    for name, value in wanted.items():
        if name not in known:
            raise OptionValueError(
                f"Option '{name}' has no line in a power mode of this board.", "Use `tuner profile apply`."
            )
        if value not in known[name]:
            raise OptionValueError(
                f"Option '{name}' has no value {value!r} on this board.",
                f"It can be one of: {', '.join(map(str, known[name]))}.",
            )


def _require_slots(values: _Values, targets: set[Target], wanted: Configuration, board: ModeBoard) -> None:
    """Raise where the file has no PARAM for what has to be said."""
    for cpu, on in values.desired.items():
        if not on and cpu not in board.kept_off and Target("online", cpu) not in targets:
            group = board.group_of(cpu)
            raise _no_param(group.option if group else "", f"cpu{cpu}/online")
    for clock in board.clocks:
        if clock.freq_option not in wanted or not values.is_on(clock):
            continue
        kinds = {t.kind for t in targets if _hits(t, clock)}
        pinned = wanted.get(clock.governor_option) == FIXED
        for end in ("max", "min") if pinned else ("max",):
            if not any(k.endswith(end) for k in kinds):
                raise _no_param(clock.freq_option, f"its {end}imum")
    capped = board.emc is not None and board.emc.has_cap and wanted.get(_EMC)
    if capped and Target("emc_cap") not in targets:
        raise _no_param(_EMC, "the cap of the memory clock")


def _hits(target: Target, clock: ModeClock) -> bool:
    if clock.cpus:
        return target.kind.startswith("cpu") and target.cpu in clock.cpus
    return target.kind.startswith("gpu")


def _no_param(option: str, what: str) -> OptionValueError:
    return OptionValueError(
        f"The nvpmodel file has no PARAM for '{option}' ({what}), so no mode of it can say that.",
        "Use `tuner profile apply`.",
    )


_RANKS = {"online": 0, "cpu_min": 1, "cpu_max": 2, "gpu_min": 3, "gpu_max": 4, "emc_cap": 5}


def _rank(target: Target) -> tuple[int, int, int]:
    """Where a line stands in a mode: cores before their clocks, clusters one by one, minimum before maximum."""
    rank = _RANKS[target.kind]
    return (1, target.cpu, rank) if target.kind.startswith("cpu") else (rank, target.cpu, 0)


def _place(result: Sequence[Setting], targets: Mapping[tuple[str, str], Target], target: Target) -> int:
    """Return the index behind the last line that stands before `target`'s."""
    place = 0
    for index, setting in enumerate(result):
        other = targets.get((setting.param, setting.argument))
        if other is not None and _rank(other) < _rank(target):
            place = index + 1
    return place
