"""Numbers of any size in a setting, from a file, a flag or a request: refused with a sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.config.settings import BY_KEY, SETTINGS
from tuner.daemon.settings import parse_settings
from tuner.errors import TunerError, UsageError
from tuner.session.budget import parse_budget

NUMBERS = ["seed", "max_repeats", "warmup_runs", "inferences_per_run", "precision", "timeout", "trial_time"]
HUGE = [10**4000, 16**5000, -(16**5000), float("1e400"), float("-inf"), float("nan"), "9" * 4000, "9" * 5000, "1e400"]


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("raw", HUGE, ids=lambda raw: f"{type(raw).__name__}")
def test_a_number_that_no_machine_holds_is_refused(key: str, raw: object) -> None:
    with pytest.raises(UsageError) as refused:
        BY_KEY[key].parse(raw)
    if not isinstance(raw, str):  # what the user wrote as text is repeated, a number of thousands of digits is not
        assert len(str(refused.value)) < 300


@given(
    st.sampled_from(SETTINGS),
    st.integers(-(10**30), 10**30) | st.sampled_from(HUGE) | st.floats() | st.text() | st.booleans(),
)
def test_any_value_is_taken_or_refused(setting: object, raw: object) -> None:
    try:
        parsed = parse_settings({setting.key: raw})  # type: ignore[attr-defined]
    except TunerError:
        return
    json.dumps(parsed, allow_nan=False)


@pytest.mark.parametrize("text", ["700h", "8d", "1e300", "1e300s", "604801"])
def test_a_wait_is_no_longer_than_the_kernel_can_wait(text: str) -> None:
    with pytest.raises(UsageError, match="longer than a week"):
        BY_KEY["timeout"].parse(text)
    assert BY_KEY["timeout"].parse("7d") == 604800


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 4000, "9" * 5000 + "%", "9" * 5000 + "h"])
def test_a_budget_of_thousands_of_digits_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_budget(text, 100)
