"""Every error crosses a process whole; what is no error is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner import errors
from tuner.error_codec import error_from_json, error_to_json
from tuner.errors import DeviceError, TunerError, UnknownNameError, VerifyError


def kinds(kind: type[TunerError] = TunerError) -> Iterator[type[TunerError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from kinds(below)


KINDS = sorted(kinds(), key=lambda kind: kind.__name__)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.dictionaries(
    texts, st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
)


def made(kind: type[TunerError], what: str, hint: str) -> TunerError:
    if not issubclass(kind, UnknownNameError):
        return kind(what, hint)
    error = kind.__new__(kind)  # its constructor makes the sentences of a name
    TunerError.__init__(error, what, hint)
    return error


def over_the_wire(error: TunerError) -> TunerError:
    return error_from_json(json.loads(json.dumps(error_to_json(error))))


def test_the_property_below_is_of_every_class_that_a_user_can_meet() -> None:
    assert set(KINDS) == {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, TunerError)}
    assert len(KINDS) > 50


@given(st.sampled_from(KINDS), texts, texts, st.none() | st.integers(1, 255), values, values)
def test_type_sentences_and_exit_code_arrive(
    kind: type[TunerError], what: str, hint: str, exit_code: int | None, asked: dict[str, Any], found: dict[str, Any]
) -> None:
    error = made(kind, what, hint)
    if exit_code is not None:
        error.exit_code = exit_code
    if isinstance(error, VerifyError):
        error.asked, error.found = asked, found
    arrived = over_the_wire(error)
    assert type(arrived) is kind
    assert (arrived.what, arrived.hint, arrived.exit_code, str(arrived)) == (what, hint, error.exit_code, str(error))
    assert arrived.args == error.args
    if isinstance(arrived, VerifyError):
        assert (arrived.asked, arrived.found) == (asked, found)


class RefusedError(DeviceError, exit_code=77):
    """A plugin's."""


class StrangeError(RefusedError):
    """Below a class that no other module knows."""


@pytest.mark.parametrize("kind", [RefusedError, StrangeError])
def test_a_class_that_is_not_known_here_is_its_nearest_base_with_its_own_exit_code(kind: type[TunerError]) -> None:
    arrived = over_the_wire(kind("W.", "H."))
    assert type(arrived) is DeviceError
    assert (str(arrived), arrived.exit_code) == ("W. H.", 77)


def test_an_error_of_a_newer_program_without_bases_is_a_plain_one() -> None:
    arrived = error_from_json({"error": "NewError", "what": "W.", "hint": "H.", "exit_code": 99, "more": [1]})
    assert type(arrived) is TunerError
    assert (str(arrived), arrived.exit_code) == ("W. H.", 99)


def test_an_error_of_an_earlier_version_has_its_class_exit_code() -> None:
    assert error_from_json({"error": "VerifyError", "what": "W.", "hint": ""}).exit_code == VerifyError.exit_code


@pytest.mark.parametrize("name", ["__import__", "difflib", "annotations", "Callable", "_likeness", ""])
def test_a_name_that_is_no_error_makes_none(name: str) -> None:
    assert type(error_from_json({"error": name, "what": "W."})) is TunerError


GOOD = error_to_json(VerifyError("W.", "H.", {"x": 1}, {"x": 2}))
WRONG: list[tuple[str, Any]] = [
    ("error", None),
    ("error", ["DeviceError"]),
    ("what", None),
    ("what", {"a": 1}),
    ("hint", 3),
    ("exit_code", 0),
    ("exit_code", 256),
    ("exit_code", True),
    ("exit_code", "32"),
    ("exit_code", None),
    ("bases", "DeviceError"),
    ("bases", [1]),
    ("asked", [1]),
    ("found", {"x": [1]}),
]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_an_error_of_another_form_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"^its "):
        error_from_json({**GOOD, key: value})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*GOOD, "bases", "x"]), inner),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_an_error_or_refused(data: object) -> None:
    try:
        error = error_from_json(data)
    except ValueError:
        return
    assert isinstance(error, TunerError)
    assert 0 < error.exit_code < 256
    assert over_the_wire(error).exit_code == error.exit_code


def test_a_name_error_says_what_there_is() -> None:
    error = errors.UnknownBoardError("tx3", ["tx2", "nano"])
    assert isinstance(error, UnknownNameError)
    assert str(over_the_wire(error)) == "There is no board 'tx3'. Did you mean tx2?"
