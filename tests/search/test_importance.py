from __future__ import annotations

from itertools import pairwise, product

import pytest

from tuner.search.importance import is_due, option_importance
from tuner.space import ConfigurationSpace, Option


def test_the_option_that_matters_gets_the_share() -> None:
    space = ConfigurationSpace((Option("matters", (1, 2, 3)), Option("idle", (1, 2, 3)), Option("constant", (7,))))
    trials = [({"matters": a, "idle": b, "constant": 7}, float(a * 10)) for a, b in product((1, 2, 3), (1, 2, 3))]
    importance = option_importance(space, trials)
    assert importance["matters"] == pytest.approx(1.0)
    assert importance["idle"] == importance["constant"] == 0.0


def test_too_few_trials_say_nothing() -> None:
    space = ConfigurationSpace((Option("a", (1, 2)),))
    assert option_importance(space, [({"a": 1}, 1.0)] * 3) == {}


def test_it_is_said_after_each_trial_at_first_and_seldom_later() -> None:
    assert all(is_due(n) for n in range(101))
    said = [n for n in range(101, 20_000) if is_due(n)]
    gaps = [b - a for a, b in pairwise(said)]
    assert len(said) < 600
    assert all(gap <= n / 25 for n, gap in zip(said, gaps, strict=False))
