"""The options of a host as data of the exported shell script."""

from __future__ import annotations

from tuner.errors import OptionValueError
from tuner.profiles import Profile
from tuner.space import OptionValue

from ...devices.host.actuator import CPUS_ONLINE, GOVERNOR, MAX_FREQ
from .values import assignment, number, word, wrong_value

#: More than any kernel counts; a list that names more is no list of CPUs.
_MAX_CPUS = 8192


def host_data(profile: Profile) -> str:
    """Return the assignments that `scripts/host.sh` reads, empty for what the profile leaves as it is.

    Raises:
        OptionValueError: an option or a value that a host does not have.
    """
    options = profile.configuration("board")
    for name in options:
        if name not in (CPUS_ONLINE, GOVERNOR, MAX_FREQ):
            raise OptionValueError(
                f"The shell format does not know how to set option '{name}'.", "Use `tuner profile apply`."
            )
    cpus = _cpus(options[CPUS_ONLINE]) if CPUS_ONLINE in options else ()
    return "\n".join(
        (
            assignment("board", "host"),
            assignment(CPUS_ONLINE, " ".join(map(str, cpus))),
            assignment(GOVERNOR, word(profile, GOVERNOR)),
            assignment(MAX_FREQ, number(profile, MAX_FREQ, "kHz")),
            "",
        )
    )


def _cpus(value: OptionValue) -> tuple[int, ...]:
    """Return the CPUs of a kernel's list, ``0,2-3``; the first one has to be among them."""
    cpus: set[int] = set()
    for part in value.split(",") if isinstance(value, str) else [""]:
        first, dash, last = part.partition("-")
        ends = (first, last) if dash else (first, first)
        if not all(end.isdecimal() and end.isascii() and len(end) <= 4 for end in ends):
            raise wrong_value(CPUS_ONLINE, value, "a list of CPUs such as 0-3,6")
        low, high = map(int, ends)
        if not low <= high < _MAX_CPUS:
            raise wrong_value(CPUS_ONLINE, value, "a list of CPUs such as 0-3,6")
        cpus.update(range(low, high + 1))
    if 0 not in cpus:
        raise wrong_value(CPUS_ONLINE, value, "a list with CPU 0, which stays online")
    return tuple(sorted(cpus))
