from __future__ import annotations

from itertools import product

import pytest

from tuner.space import ConfigurationSpace, Option
from tuner.tuning.importance import option_importance


def test_the_option_that_matters_gets_the_share() -> None:
    space = ConfigurationSpace(
        (Option("matters", (1, 2, 3)), Option("idle", (1, 2, 3)), Option("constant", (7,)))
    )
    trials = [
        ({"matters": a, "idle": b, "constant": 7}, float(a * 10)) for a, b in product((1, 2, 3), (1, 2, 3))
    ]
    importance = option_importance(space, trials)
    assert importance["matters"] == pytest.approx(1.0)
    assert importance["idle"] == importance["constant"] == 0.0


def test_too_few_trials_say_nothing() -> None:
    space = ConfigurationSpace((Option("a", (1, 2)),))
    assert option_importance(space, [({"a": 1}, 1.0)] * 3) == {}
