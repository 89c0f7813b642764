"""`--stop-when`: what it takes, and when it ends."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import UsageError
from tuner.ports import Belief
from tuner.session.stop_when import parse_stop_when

BELIEF = Belief(expected_gain_percent=0.5, probability_within={1.0: 0.8, 5.0: 0.97})


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("gain<1%", True),
        ("gain <= .6 %", True),
        ("gain<0.5%", False),
        ("within 1%>=95%", False),
        ("within 5%>95%", True),
        ("within 3%>=80%", True),  # within 1% with that probability, so within 3% too
        ("within 0.5%>=10%", False),  # nothing is known of so narrow a margin
    ],
)
def test_met(text: str, met: bool) -> None:
    stop = parse_stop_when(text)
    assert stop.met(BELIEF, 10) is met
    assert not stop.met(BELIEF, 2)  # so far it is the prior's belief
    assert not stop.met(None, 10)
    assert not stop.met(Belief(), 10)


@pytest.mark.parametrize(
    "text", ["", "gain", "gain<0%", "gain>1%", "gain<1", "within 1%", "within 1%>=0%", "within 1%>=101%"]
)
def test_refused(text: str) -> None:
    with pytest.raises(UsageError, match="when to stop"):
        parse_stop_when(text)


@given(st.text(max_size=20))
def test_nothing_else_is_raised(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse_stop_when(text)
