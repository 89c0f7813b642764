"""A Gaussian process that finds out which options matter, and designs that leave little variance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.search.coordinates import axis
from tuner.search.design import informative_design
from tuner.space import Condition, Option
from tuner_plugins.strategies.transfer.relevance import RelevanceKernel, Shape, _Density

FREQUENCY = Option("freq_hz", (100, 200, 400, 800))
KIND = Option("kind", ("a", "b", "c"), "categorical")
ALONE = Option("alone", (1,))
DEPENDENT = Option("dependent", (1, 2, 3), condition=Condition("kind", ("a", "b")))
OPTIONS = (FREQUENCY, KIND, ALONE, DEPENDENT)


def _rows(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, count)
    dependent = np.where(kind < 2, rng.integers(0, 3, count), -1)
    return np.stack([rng.integers(0, 4, count), kind, np.zeros(count, int), dependent], axis=1)


@pytest.fixture
def kernel() -> RelevanceKernel:
    return RelevanceKernel([axis(o) for o in OPTIONS])


def test_the_slope_is_that_of_the_density(kernel: RelevanceKernel) -> None:
    rows, rng = _rows(12, 0), np.random.default_rng(1)
    errors = np.where(np.arange(12) < 3, 0.5, 0.0)
    response = 0.3 * rows[:, 0] + 0.05 * rng.standard_normal(12)
    density = _Density(kernel, rows, response, errors, kernel.starts(1.0)[0])
    at = density.centre + 0.3 * rng.standard_normal(len(density.centre))
    _, slope = density.loss(at)
    for i, told in enumerate(slope):
        step = np.zeros(len(at))
        step[i] = 1e-5
        measured = (density.loss(at + step)[0] - density.loss(at - step)[0]) / 2e-5
        assert told == pytest.approx(measured, rel=1e-3, abs=1e-4)


@given(st.integers(0, 10_000), st.floats(0.05, 20.0), st.floats(0.0, 3.0))
@settings(max_examples=40)
def test_it_is_a_covariance(seed: int, length: float, relevance: float) -> None:
    kernel = RelevanceKernel([axis(o) for o in OPTIONS])
    rows = _rows(20, seed)
    shape = Shape(0.7, 0.03, np.full(4, length), np.full(4, relevance))
    covariance = kernel.between(rows, rows, shape)
    np.testing.assert_allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9 * covariance.max()
    active = kernel.between(rows[:1], rows[:1], shape)[0, 0]
    assert active == pytest.approx(0.49 * (1.0 + relevance**2) ** 3)


def test_what_matters_is_found_out(kernel: RelevanceKernel) -> None:
    rows = _rows(30, 3)
    response = 0.8 * rows[:, 0] - 0.8 * rows[:, 0].mean()
    shape, log_mass = kernel.fitted(rows, response, np.zeros(30), kernel.starts(1.0)[0])
    assert shape.relevances[0] > 3.0 * max(shape.relevances[1], shape.relevances[3])
    assert shape.relevances[2] == 0.0
    assert log_mass < 0.0


def test_equal_values_and_equal_rows_do_no_harm(kernel: RelevanceKernel) -> None:
    rows = np.repeat(_rows(2, 5), 4, axis=0)
    shape, log_mass = kernel.fitted(rows, np.zeros(8), np.zeros(8), kernel.starts(0.0)[0])
    assert np.isfinite([shape.amplitude, shape.noise, log_mass, *shape.lengths, *shape.relevances]).all()


def test_a_space_without_choice_has_a_constant() -> None:
    kernel = RelevanceKernel([axis(ALONE)])
    shape, _ = kernel.fitted(np.zeros((5, 1), int), np.zeros(5), np.zeros(5), kernel.starts(0.0)[0])
    assert kernel.variance(shape) == pytest.approx(shape.amplitude**2)


def test_an_informative_design_leaves_less_variance_than_chance(kernel: RelevanceKernel) -> None:
    grid = np.unique(_rows(400, 7), axis=0)
    covariance = kernel.between(grid, grid, kernel.starts(1.0)[0])

    def left(chosen: np.ndarray) -> float:
        among = covariance[np.ix_(chosen, chosen)] + 1e-3 * np.eye(len(chosen))
        cross = covariance[:, chosen]
        return float(np.trace(covariance - cross @ np.linalg.solve(among, cross.T)))

    rng = np.random.default_rng(0)
    design = informative_design(covariance, 1e-3, 7, rng)
    assert len(set(design.tolist())) == 7
    assert left(design) < min(left(rng.permutation(len(grid))[:7]) for _ in range(20))
    assert len(informative_design(covariance[:3, :3], 1e-3, 7, rng)) == 3
