"""Values of a profile as words of a shell script: checked, then quoted."""

from __future__ import annotations

import re
import shlex

from tuner.errors import OptionValueError
from tuner.profiles import Profile
from tuner.profiles.text import one_line
from tuner.space import OptionValue

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LARGEST = 2**63 - 1


def assignment(name: str, text: str) -> str:
    """Return the line that gives a variable of the script its value."""
    return f"{name}={shlex.quote(text)}"


def number(profile: Profile, option: str, unit: str = "") -> str:
    """Return an option's whole number, ``""`` where the profile does not name it.

    Raises:
        OptionValueError: no such number, or a number in another unit.
    """
    if option not in profile.options:
        return ""
    chosen = profile.options[option]
    if isinstance(chosen.value, bool) or not isinstance(chosen.value, int) or not 0 <= chosen.value <= _LARGEST:
        raise wrong_value(option, chosen.value, "a whole number")
    if chosen.unit and chosen.unit != unit:
        raise wrong_value(option, f"{chosen.value} {chosen.unit}", f"a number of {unit}" if unit else "a count")
    return str(chosen.value)


def word(profile: Profile, option: str) -> str:
    """Return an option's name of something (a governor), ``""`` where the profile does not name it.

    Raises:
        OptionValueError: no such word.
    """
    if option not in profile.options:
        return ""
    value = profile.options[option].value
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise wrong_value(option, value, "the name of a governor")
    return value


def wrong_value(option: str, value: OptionValue, form: str) -> OptionValueError:
    """Return the error for a value that an option cannot have."""
    shown = one_line(str(value))
    return OptionValueError(
        f"Option '{option}' cannot be '{shown[:80]}'.", f"It has to be {form}: correct the profile."
    )
