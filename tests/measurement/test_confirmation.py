from __future__ import annotations

import math

import numpy as np
import pytest

from tuner.errors import MeasurementError
from tuner.measurement.confirmation import (
    CHOICE_ROUNDS,
    MAX_ROUNDS,
    MAX_RUNNERS_UP,
    MIN_ROUNDS,
    RESERVED_ROUNDS,
    Candidate,
    Visit,
    choose,
    paired_change,
    plan_choice,
    rounds_for,
    rounds_in_all,
    shuffled_rounds,
    spread_of_rounds,
    time_for,
)
from tuner.measurement.estimate import median_error
from tuner.measurement.racing import Incumbent, Spread, is_lost, probability_worse


def test_a_change_is_of_pairs_so_what_a_round_shares_cancels() -> None:
    machine = np.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
    noise = np.array([1.0, 1.01, 0.99, 1.0, 1.01, 0.99])
    change = paired_change((10 * machine).tolist(), (7 * machine * noise).tolist())
    assert change.saving_percent == pytest.approx(30, abs=0.3)
    assert change.is_saving
    low, high = change.saving_interval
    assert 28.5 < low < 30 < high < 31.5
    assert change.half_width_percent == pytest.approx((high - low) / 2)
    assert change.percent == -change.saving_percent


def test_no_saving_is_shown_where_the_interval_holds_none() -> None:
    assert not paired_change([1.0, 1.1, 0.9, 1.0, 1.05], [0.98, 1.05, 0.93, 0.99, 1.0]).is_saving


@pytest.mark.parametrize(
    ("before", "after"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, 0.0], [1.0, 1.0]), ([1.0, 1.0], [1.0, math.nan])]
)
def test_a_change_needs_rounds_and_positive_values(before: list[float], after: list[float]) -> None:
    with pytest.raises(MeasurementError):
        paired_change(before, after)


def test_the_interval_covers() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        before = np.exp(0.02 * random.standard_normal(6)).tolist()
        after = (0.8 * np.exp(0.02 * random.standard_normal(6))).tolist()
        low, high = paired_change(before, after).saving_interval
        hits += low <= 20 <= high
    assert 0.93 < hits / 2000 < 0.97


def test_rounds_that_were_added_for_precision_keep_the_coverage() -> None:
    random = np.random.default_rng(3)
    hits, added = 0, 0
    for _ in range(2000):
        before = np.exp(0.03 * random.standard_normal(60)).tolist()
        after = (0.8 * np.exp(0.03 * random.standard_normal(60))).tolist()
        n = rounds_in_all(before[:5], after[:5], 0.02, 30)
        low, high = paired_change(before[:n], after[:n], 5).saving_interval
        hits += low <= 20 <= high
        added += n > 5
    assert 0.93 < hits / 2000 < 0.97
    assert added > 1500


def test_no_rounds_are_added_to_precise_ones_or_without_time() -> None:
    noisy = [1.0, 1.3, 0.8, 1.1, 0.9]
    assert rounds_in_all([1.0] * 5, [0.5] * 5, 0.01, 30) == 5
    assert rounds_in_all(noisy, [0.5] * 5, 0.01, 12) == 12
    assert rounds_in_all(noisy, [0.5] * 5, 0.01, 3) == 5


def test_each_round_holds_each_configuration_once_in_an_order_of_its_own() -> None:
    rounds = shuffled_rounds(["baseline", "3", "7"], 12, 5)
    assert all(sorted(r) == ["3", "7", "baseline"] for r in rounds)
    assert len(set(rounds)) > 2
    assert rounds == shuffled_rounds(["baseline", "3", "7"], 12, 5)
    assert rounds != shuffled_rounds(["baseline", "3", "7"], 12, 6)


def candidates(*values: float, error: float = 0.01) -> list[Candidate]:
    return [Candidate(str(i), v, error, 1.0) for i, v in enumerate(values)]


def test_the_choice_is_between_the_incumbent_and_those_near_it() -> None:
    choice = plan_choice(candidates(1.0, 1.5, 1.02, 0.99, 1.01, 1.015), 1.0, 1000.0)
    assert choice.names == ("3", "0", "4")
    assert len(choice.names) == 1 + MAX_RUNNERS_UP
    assert choice.rounds == CHOICE_ROUNDS


def test_there_is_no_choice_where_one_is_clearly_best() -> None:
    choice = plan_choice(candidates(1.0, 1.5), 1.0, 1000.0)
    assert choice.names == ("0",)
    assert choice.rounds == 0


def test_the_choice_leaves_time_for_the_statement() -> None:
    statement_s = 2.0 * RESERVED_ROUNDS  # a visit takes 1 s
    assert plan_choice(candidates(1.0, 1.0, 1.0), 1.0, statement_s + 3).rounds == 1
    assert plan_choice(candidates(1.0, 1.0, 1.0), 1.0, statement_s + 2).names == ("0", "1")
    assert plan_choice(candidates(1.0, 1.0, 1.0), 1.0, statement_s).rounds == 0


def test_confirming_takes_at_most_a_quarter_of_the_whole() -> None:
    assert time_for(75.0) == pytest.approx(25.0)


def test_the_choice_weighs_visits_by_their_errors() -> None:
    seen = {
        "long": [Visit(1.00, 0.005), Visit(1.00, 0.03), Visit(1.00, 0.03)],
        "lucky": [Visit(1.02, 0.005), Visit(0.95, 0.03), Visit(1.03, 0.03)],
    }
    assert choose(seen) == "long"
    assert choose({"only": [Visit(1.0, 0.0)]}) == "only"


def test_the_better_of_two_is_chosen_more_often_with_more_visits() -> None:
    random = np.random.default_rng(7)

    def right(visits: int) -> float:
        hits = 0
        for _ in range(500):
            seen = {
                name: [Visit(level * math.exp(0.03 * random.standard_normal()), 0.03) for _ in range(visits)]
                for name, level in (("better", 0.97), ("worse", 1.0))
            }
            hits += choose(seen) == "better"
        return hits / 500

    assert right(1) < right(4) < right(16)
    assert right(16) > 0.95


def test_rounds_are_as_many_as_the_precision_needs() -> None:
    assert rounds_for(0.001, 0.02, 30) == MIN_ROUNDS
    assert rounds_for(0.02, 0.01, 30) == 18
    assert rounds_for(0.5, 0.01, 12) == 12
    assert rounds_for(0.5, 0.01, 1) == MIN_ROUNDS
    assert rounds_for(0.5, 0.001, 10_000) == MAX_ROUNDS
    assert rounds_for(0.0, 0.0, 30) == MIN_ROUNDS


def test_the_spread_of_rounds_is_the_larger_of_two_estimates() -> None:
    alike = {"a": [Visit(1.0, 0.01), Visit(1.0, 0.01)]}
    apart = {"a": [Visit(1.0, 0.01), Visit(1.2, 0.01)]}
    assert spread_of_rounds(alike) == pytest.approx(math.sqrt(2) * 0.01)
    assert spread_of_rounds(apart) == pytest.approx(math.log(1.2))
    assert median_error(0.03, 3) == pytest.approx(1.2533 * 0.03 / math.sqrt(3))


def test_a_configuration_that_is_clearly_worse_is_lost_and_a_near_one_is_not() -> None:
    spread = Spread.of([[1.0, 1.02, 0.98, 1.01], [2.0, 2.03, 1.98]])
    incumbent = Incumbent(1.0, 0.005, spread)
    assert is_lost([1.5, 1.52], incumbent)
    assert not is_lost([1.5], incumbent)
    assert not is_lost([1.02, 1.01, 1.03], incumbent)
    assert not is_lost([0.5, 0.5], incumbent)
    assert probability_worse([1.0, 1.0], incumbent) < 0.5


def test_a_race_needs_a_spread_and_positive_values() -> None:
    unknown = Incumbent(1.0, 0.01, Spread.of([]))
    assert probability_worse([1.5], unknown) == 0
    assert probability_worse([-1.5, 1.0], unknown) == 0
    assert is_lost([1.5, 1.5], Incumbent(1.0, 0.0, Spread(0.0, 5)))


def test_an_equal_is_rarely_lost() -> None:
    random = np.random.default_rng(2)
    incumbent = Incumbent(1.0, 0.01, Spread(0.03, 40))
    lost = 0
    for _ in range(1000):
        values = np.exp(0.03 * random.standard_normal(15)).tolist()
        lost += any(is_lost(values[:n], incumbent) for n in range(2, 16))
    assert lost / 1000 < 0.05
