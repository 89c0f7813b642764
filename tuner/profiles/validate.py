"""Whether a profile fits a board: the board's name, its options and their values."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.errors import OptionValueError, WrongBoardError
from tuner.profiles.profile import Profile, ProfileOption
from tuner.space import Option


def validate(profile: Profile, options: Sequence[Option]) -> list[str]:
    """Return a sentence for each of the profile's values that `options` do not have.

    A workload's options are checked where `options` name them: a board knows nothing of them. An option
    that the profile leaves out is no problem, applying leaves it as it is.
    """
    known = {o.name: o for o in options}
    return [p for name, o in profile.options.items() if (p := _problem(name, o, known)) is not None]


def require_board(profile: Profile, board: str) -> None:
    """Raise unless the profile was made for `board`.

    Raises:
        WrongBoardError: names both boards.
    """
    if profile.board != board:
        raise WrongBoardError(
            f"Profile '{profile.name}' was made for board '{profile.board}', and this is '{board}'.",
            f"Use a profile made for '{board}', or tune this board: `tuner start`.",
        )


def require_valid(profile: Profile, options: Sequence[Option]) -> None:
    """Raise unless the board has all the profile's options and values.

    Raises:
        OptionValueError: names the first problem, and how many there are.
    """
    problems = validate(profile, options)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise OptionValueError(
            f"Profile '{profile.name}' does not fit: {problems[0].rstrip('.')}{more}.",
            "Use a profile made for this machine, or correct the value.",
        )


def _problem(name: str, chosen: ProfileOption, known: dict[str, Option]) -> str | None:
    option = known.get(name)
    if option is None:
        if chosen.scope == "workload":
            return None
        return f"There is no option '{name}' here; options: {', '.join(sorted(known)) or 'none'}."
    if chosen.unit and option.unit and chosen.unit != option.unit:
        return f"Option '{name}' is in {option.unit} here, and the profile gives {chosen.unit}."
    try:
        option.index(chosen.value)
    except OptionValueError as error:
        return str(error)
    return None
