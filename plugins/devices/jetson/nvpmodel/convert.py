"""Power modes as configurations, and configurations as the lines of a mode (docs/nvpmodel.md).

A mode can express which cores are online, limits of clocks, and a cap of the memory's clock. What it cannot
express (governors, a locked memory clock) is kept in one comment of its block. The comment is read back only where
it agrees with the lines: in a mode that was edited by hand the lines count.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tuner.errors import OptionValueError
from tuner.space import Configuration, OptionValue

from ..layout import EMC_FREQ, EMC_GOVERNOR, FIXED, MANAGED, LimitedClock, LockedClock
from .board import FileRole, ModeBoard, cpu_range, gpu_range, roles_of
from .conf import Document, Mode, ModeLine

#: Begins a comment that carries what lines cannot; also the mark of a mode that tuner wrote.
REMARK = "tuner options:"
#: The longest line that nvpmodel's own parser takes is unknown; NVIDIA's files have shorter ones than this.
COMMENT_WIDTH = 100
_REMARK = re.compile(rf"#\s*{REMARK}(.*)")


# --- a mode as a configuration -----------------------------------------------------------------


@dataclass(frozen=True)
class ModeReading:
    """What a mode comes to on a board.

    Attributes:
        mode: The mode.
        configuration: Of the board's options; empty where they cannot express the mode.
        reason: Why they cannot: a clause for people; ``""`` where they can.
    """

    mode: Mode
    configuration: Configuration
    reason: str = ""


class _NotSayableError(Exception):
    """The board's options cannot express a mode."""


def read_mode(document: Document, mode: Mode, board: ModeBoard) -> ModeReading:
    """Return what `mode` comes to. What it does not mention counts as online, or as not limited."""
    roles = roles_of(document)
    remark = _remark(mode)
    try:
        said = _said(mode, roles)
        online = _online(said, board)
        configuration: dict[str, OptionValue] = dict(_core_counts(online, board))
        for clock in board.clocks:
            if not clock.cpus or any(map(online.__getitem__, clock.cpus)):
                configuration.update(_clock_options(clock, said, board, remark))
        if board.emc is not None:
            configuration.update(_emc_options(board.emc, said, board, remark))
    except _NotSayableError as error:
        return ModeReading(mode, {}, str(error))
    return ModeReading(mode, configuration)


def _said(mode: Mode, roles: Mapping[tuple[str, str], FileRole]) -> dict[FileRole, int]:
    """Return role -> number; where several lines hit one, the last counts."""
    result = {}
    for setting in mode.settings:
        role = roles.get((setting.param, setting.argument))
        if role is None:
            continue
        try:
            result[role] = int(setting.value)
        except ValueError as error:
            raise _NotSayableError(f"'{setting.text}' gives no number") from error
    return result


def _online(said: Mapping[FileRole, int], board: ModeBoard) -> dict[int, bool]:
    """Return whether each CPU of the board is online."""
    cpus = [*(c for g in board.cores for c in g.cpus), *(c for k in board.clusters for c in k.cpus)]
    online = {**dict.fromkeys(cpus, True), **dict.fromkeys(board.kept_off, False)}
    for role, value in said.items():
        if role.kind != "online":
            continue
        cpu, on = role.cpu, value != 0
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
    clock: LimitedClock, said: Mapping[FileRole, int], board: ModeBoard, remark: Mapping[str, str]
) -> dict[str, OptionValue]:
    low, high = _levels_of(clock, said, board)
    options: dict[str, OptionValue] = {clock.freq: high}
    if not board.has_governors:
        return options
    governor = FIXED if low == high else clock.found.governor
    noted = remark.get(clock.governor, "")
    # Any governor fits limits that leave a choice; others fit a governor whose minimum leaves none either.
    if noted in clock.governors and (low != high or _range(clock, clock.minimum(high, noted), high, board)[0] == low):
        governor = noted
    return {**options, clock.governor: governor}


def _levels_of(clock: LimitedClock, said: Mapping[FileRole, int], board: ModeBoard) -> tuple[int, int]:
    """Return the lowest and highest level that a mode leaves to a clock."""
    levels = clock.levels
    low, high = levels[0], levels[-1]
    for role, value in said.items():
        if _hits(role, clock):
            if role.kind.endswith("max"):
                high = levels[-1] if value < 0 else value
            else:
                low = levels[-1] if value < 0 else value
    return _range(clock, low, high, board)


def unsaid_minima(document: Document, mode: Mode, board: ModeBoard) -> list[str]:
    """Return a sentence for each clock whose minimum in `mode` is another than the mode's configuration leaves it."""
    reading, said = read_mode(document, mode, board), _said(mode, roles_of(document))
    sentences = []
    for clock in board.clocks:
        if clock.freq not in reading.configuration:
            continue
        low, high = _levels_of(clock, said, board)
        governor = str(reading.configuration.get(clock.governor, ""))
        left, _ = _range(clock, clock.minimum(high, governor), high, board)
        if left != low:
            sentences.append(
                f"The mode's MIN_FREQ keeps {clock.freq} at {low} or more, which no option says: "
                f"where the profile is applied or exported, the minimum is {left}."
            )
    return sentences


def _range(clock: LimitedClock, low: int, high: int, board: ModeBoard) -> tuple[int, int]:
    if clock.cpus:
        return cpu_range(clock.levels, low, high, board.snaps_cpu_limits)
    return gpu_range(clock.levels, low, high)


def _emc_options(
    emc: LockedClock, said: Mapping[FileRole, int], board: ModeBoard, remark: Mapping[str, str]
) -> dict[str, OptionValue]:
    level = emc.capped(said.get(FileRole("emc_cap"), -1))
    if not board.has_governors:
        return {EMC_FREQ: level}
    if remark.get(EMC_GOVERNOR) == FIXED:
        locked = next((f for f in emc.levels if str(f) == remark.get(EMC_FREQ)), None)
        if locked is not None and (locked == level or not emc.cap):
            return {EMC_FREQ: locked, EMC_GOVERNOR: FIXED}
    return {EMC_FREQ: level, EMC_GOVERNOR: MANAGED} if emc.cap else {EMC_GOVERNOR: MANAGED}


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
    pairs = [(c.freq, c.governor) for c in board.clocks]
    pairs += [(EMC_FREQ, EMC_GOVERNOR)] if board.emc else []
    missing = {g: FIXED for f, g in pairs if f in configuration and g not in configuration}
    return {**configuration, **missing}


def remarks_of(configuration: Configuration, board: ModeBoard) -> list[str]:
    """Return the comments (without ``#``) that carry what the lines of a mode cannot; at least one."""
    wanted = completed(configuration, board)
    governors = [c.governor for c in board.clocks] + [EMC_GOVERNOR]
    words = [f"{name}={wanted[name]}" for name in governors if name in wanted]
    if wanted.get(EMC_GOVERNOR) == FIXED:
        words.append(f"{EMC_FREQ}={wanted[EMC_FREQ]}")
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
) -> tuple[ModeLine, ...]:
    """Return the lines of a mode for `configuration`, under the PARAM names of `document`.

    Lines that are no option's (accelerators, GPU power, masks) are those of `template`, as are the
    lines of options that `configuration` leaves out.

    Raises:
        OptionValueError: an option, a level or a PARAM that the board or the file lacks.
    """
    wanted = completed(configuration, board)
    _require_known(wanted, board)
    roles = roles_of(document)
    values = _Values(wanted, board, _template_online(template, roles))
    _require_slots(values, set(roles.values()), wanted, board)
    result: list[ModeLine] = []
    written: set[tuple[str, str]] = set()
    for setting in template.settings:
        slot = (setting.param, setting.argument)
        value = values.of(roles[slot]) if slot in roles else setting.value
        if value == "":
            continue  # a cluster that is off has no limits to write
        written.add(slot)
        result.append(ModeLine(*slot, setting.value if value is None else value))
    for slot, role in sorted(roles.items(), key=lambda item: _rank(item[1])):
        value = values.of(role)
        if slot not in written and value and (slot[0] or not document.params):
            result.insert(_place(result, roles, role), ModeLine(*slot, value))
    return tuple(result)


class _Values:
    """What a configuration makes of each role."""

    def __init__(self, wanted: Configuration, board: ModeBoard, online: dict[int, bool]) -> None:
        self._wanted, self._board = wanted, board
        self.desired: dict[int, bool] = dict.fromkeys(board.kept_off, False)
        for group in board.cores:
            if group.option in wanted:
                count = int(wanted[group.option])
                self.desired.update({cpu: i < count for i, cpu in enumerate(group.cpus)})
        self._online = {**online, **self.desired}

    def is_on(self, clock: LimitedClock) -> bool:
        """Return whether a clock drives anything: the GPU, or a cluster with a core online."""
        return not clock.cpus or any(self._online.get(cpu, True) for cpu in clock.cpus)

    def of(self, role: FileRole) -> str | None:
        """Return the text to write, None for what the template has, ``""`` for no line at all."""
        if role.kind == "online":
            return str(int(self.desired[role.cpu])) if role.cpu in self.desired else None
        if role.kind == "emc_cap":
            capped = self._board.emc is not None and self._board.emc.cap and EMC_FREQ in self._wanted
            return str(self._wanted[EMC_FREQ]) if capped else None
        gpu = role.kind.startswith("gpu")
        clock = self._board.gpu if gpu else self._board.cluster_of(role.cpu)
        if clock is None:
            return "" if role.cpu in self._board.kept_off else None
        if not self.is_on(clock):
            return ""
        if clock.freq not in self._wanted:
            return None
        freq = int(self._wanted[clock.freq])
        if role.kind.endswith("max"):
            return str(freq)
        governor = str(self._wanted.get(clock.governor, ""))
        return str(clock.minimum(freq, governor))


def _template_online(template: Mode, roles: Mapping[tuple[str, str], FileRole]) -> dict[int, bool]:
    found = ((roles.get((s.param, s.argument)), s.value) for s in template.settings)
    return {t.cpu: v.strip() != "0" for t, v in found if t is not None and t.kind == "online"}


def _require_known(wanted: Configuration, board: ModeBoard) -> None:
    """Raise for options and levels that the board lacks."""
    known: dict[str, Sequence[OptionValue]] = {g.option: range(len(g.cpus) + 1) for g in board.cores}
    for clock in board.clocks:
        known[clock.freq] = clock.levels
        if board.has_governors:
            known[clock.governor] = (FIXED, clock.found.governor, *clock.governors)
    if board.emc:
        known[EMC_FREQ] = board.emc.levels
        if board.has_governors:
            known[EMC_GOVERNOR] = (FIXED, MANAGED)
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


def _require_slots(values: _Values, roles: set[FileRole], wanted: Configuration, board: ModeBoard) -> None:
    """Raise where the file has no PARAM for what has to be said."""
    for cpu, on in values.desired.items():
        if not on and cpu not in board.kept_off and FileRole("online", cpu) not in roles:
            group = board.group_of(cpu)
            raise _no_param(group.option if group else "", f"cpu{cpu}/online")
    for clock in board.clocks:
        if clock.freq not in wanted or not values.is_on(clock):
            continue
        kinds = {t.kind for t in roles if _hits(t, clock)}
        pinned = wanted.get(clock.governor) == FIXED
        for end in ("max", "min") if pinned else ("max",):
            if not any(k.endswith(end) for k in kinds):
                raise _no_param(clock.freq, f"its {end}imum")
    capped = board.emc is not None and board.emc.cap and wanted.get(EMC_FREQ)
    if capped and FileRole("emc_cap") not in roles:
        raise _no_param(EMC_FREQ, "the cap of the memory clock")


def _hits(role: FileRole, clock: LimitedClock) -> bool:
    if clock.cpus:
        return role.kind.startswith("cpu") and role.cpu in clock.cpus
    return role.kind.startswith("gpu")


def _no_param(option: str, what: str) -> OptionValueError:
    return OptionValueError(
        f"The nvpmodel file has no PARAM for '{option}' ({what}), so no mode of it can say that.",
        "Use `tuner profile apply`.",
    )


_RANKS = {"online": 0, "cpu_min": 1, "cpu_max": 2, "gpu_min": 3, "gpu_max": 4, "emc_cap": 5}


def _rank(role: FileRole) -> tuple[int, int, int]:
    """Return the place of a line in a mode: cores before their clocks, clusters one by one, minimum before maximum."""
    rank = _RANKS[role.kind]
    return (1, role.cpu, rank) if role.kind.startswith("cpu") else (rank, role.cpu, 0)


def _place(result: Sequence[ModeLine], roles: Mapping[tuple[str, str], FileRole], role: FileRole) -> int:
    """Return the index behind the last line that comes before `role`'s."""
    place = 0
    for index, setting in enumerate(result):
        other = roles.get((setting.param, setting.argument))
        if other is not None and _rank(other) < _rank(role):
            place = index + 1
    return place
