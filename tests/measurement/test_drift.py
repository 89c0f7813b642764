from __future__ import annotations

import math

import numpy as np
import pytest

from tuner.measurement.drift import MIN_BASELINES, TimedBaseline, machine_noise
from tuner.measurement.regimes import find_regimes


def baselines(values: list[float], error: float = 0.005) -> list[TimedBaseline]:
    half = 2.108 * error
    return [TimedBaseline(10.0 * i, v, (v * math.exp(-half), v * math.exp(half))) for i, v in enumerate(values)]


def test_too_few_references_say_nothing() -> None:
    assert machine_noise(baselines([1.0] * (MIN_BASELINES - 1))) is None
    assert machine_noise([TimedBaseline(5.0, 1.0, (0.9, 1.1))] * 6) is None


def test_a_drift_is_found_and_taken_out() -> None:
    random = np.random.default_rng(1)
    values = np.exp(0.002 * np.arange(9) * 10 / 10 + 0.0005 * random.standard_normal(9)).tolist()
    noise = machine_noise(baselines(values, 0.0005))
    assert noise is not None
    assert noise.drifts
    assert noise.drift_percent == pytest.approx(1.6, abs=0.15)
    late, _ = noise.stated(2.0 * math.exp(0.002 * 8), (1.9, 2.1), 80.0)
    early, _ = noise.stated(2.0, (1.9, 2.1), 0.0)
    assert late == pytest.approx(early, rel=2e-3)


def test_variation_between_trials_is_told_from_that_within() -> None:
    random = np.random.default_rng(3)
    calm = [machine_noise(baselines(np.exp(0.005 * row).tolist())) for row in random.standard_normal((200, 9))]
    varied = [machine_noise(baselines(np.exp(0.02 * row).tolist())) for row in random.standard_normal((200, 9))]
    assert np.median([n.between_sd for n in calm if n]) < 0.004
    assert np.mean([n.between_sd**2 for n in varied if n]) == pytest.approx(1.2 * 0.02**2 - 0.005**2, rel=0.15)
    assert np.mean([n.drifts for n in calm if n]) < 0.04


def test_what_varies_between_trials_widens_the_interval_of_one() -> None:
    random = np.random.default_rng(4)
    noise = machine_noise(baselines(np.exp(0.03 * random.standard_normal(9)).tolist()))
    assert noise is not None
    value, (low, high) = noise.stated(1.0, (0.99, 1.01), noise.centre_s)
    assert value == pytest.approx(1.0)
    assert high - low > 4 * noise.between_sd


def test_references_that_are_all_alike_leave_a_trial_its_own_interval() -> None:
    noise = machine_noise(baselines([1.0] * 9))
    assert noise is not None
    assert not noise.drifts
    assert noise.between_sd == 0
    _, (low, high) = noise.stated(1.0, (0.99, 1.01), 40.0)
    assert 0.985 < low < high < 1.015


def test_two_levels_are_found_whatever_their_order() -> None:
    random = np.random.default_rng(6)
    for order in (random.permutation(12), np.arange(12)):
        blocks = np.where(order < 5, 14.0, 7.0) * np.exp(0.03 * random.standard_normal(12))
        found = find_regimes(blocks.tolist())
        assert found is not None
        assert found.ratio == pytest.approx(2.0, rel=0.05)
        assert found.high_share == pytest.approx(5 / 12)


@pytest.mark.parametrize("n", [6, 8, 12, 20, 30])
def test_noise_alone_has_no_regimes(n: int) -> None:
    random = np.random.default_rng(n)
    wrong = [find_regimes(np.exp(0.1 * row).tolist()) is not None for row in random.standard_normal((1000, n))]
    assert np.mean(wrong) < 0.025


def test_one_outlier_or_a_small_step_is_no_regime() -> None:
    assert find_regimes([1.0, 1.001, 0.999, 1.0, 1.002, 2.0, 1.0, 0.998]) is None
    assert find_regimes([1.0, 1.0, 1.0, 1.02, 1.02, 1.02]) is None
    assert find_regimes([7.0, 14.0]) is None
