"""Axes, kernels, effects, surface, mixture, candidates: properties that hold whatever the numbers."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.objective import Metric
from tuner.ports import SourceData
from tuner.search.candidates import Candidates, free_mask, unique_rows
from tuner.search.coordinates import axis
from tuner.search.design import balanced_design
from tuner.search.importance import variance_shares
from tuner.search.matching import match
from tuner.space import Condition, ConfigurationSpace, Option
from tuner_plugins.strategies.transfer.effects import decompose
from tuner_plugins.strategies.transfer.guide import make_guide
from tuner_plugins.strategies.transfer.kernels import LevelKernels
from tuner_plugins.strategies.transfer.posterior import Posterior
from tuner_plugins.strategies.transfer.prior import SHORT, Prior, combined
from tuner_plugins.strategies.transfer.response import Response

METRIC = Metric("latency_s", "latency", "s")


def space_of(*counts: int) -> ConfigurationSpace:
    return ConfigurationSpace(tuple(Option(f"o{i}", tuple(range(n))) for i, n in enumerate(counts)))


def source(options: tuple[Option, ...], configurations: list[dict[str, Any]], values: Any) -> SourceData:
    return SourceData("s", options, tuple(configurations), {"latency_s": tuple(map(float, values))}, (METRIC,))


def test_frequencies_are_spaced_by_their_logarithm() -> None:
    places = axis(Option("f", (100, 200, 400, 800))).levels
    np.testing.assert_allclose(places, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(axis(Option("n", (0, 1, 4))).levels, [0, 0.25, 1])
    np.testing.assert_allclose(axis(Option("t", ("low", "mid", "high"))).levels, [0, 0.5, 1])


def test_levels_correspond_by_value_on_one_board_and_by_rank_across() -> None:
    target = (Option("f", (100, 200, 400, 800)),)
    same = match(source((Option("f", (100, 200)),), [{"f": 100}, {"f": 200}], [2, 1]), target)
    np.testing.assert_allclose(same.places()[:, 0], [0, 1 / 3])
    assert [m.levels_by for m in same.matched] == ["value"]
    other = source((Option("f", (70, 90, 300)),), [{"f": 70}, {"f": 90}, {"f": 300}], [3, 2, 1])
    np.testing.assert_allclose(match(other, target).places()[:, 0], [0, 0.5, 1])
    assert [m.levels_by for m in match(other, target).matched] == ["rank"]
    stranger = match(source((Option("g", (1, 2)),), [{"g": 1}, {"g": 2}], [2, 1]), target)
    assert stranger.unmatched_target == ("f",)
    assert np.isnan(stranger.places()).all()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 10**6))
@settings(max_examples=40)
def test_orders_are_sums_over_subsets_and_positive(counts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = [Option(f"o{i}", tuple(range(n)), "categorical" if i % 2 else "ordinal") for i, n in enumerate(counts)]
    axes = [axis(o) for o in options]
    rows = rng.integers(0, counts, size=(7, len(counts)))
    weights = rng.uniform(0.1, 1.0, len(counts))
    kernels = LevelKernels(axes, SHORT)
    orders = kernels.between(rows, rows, weights)
    unit = [LevelKernels([a], SHORT).between(rows[:, [i]], rows[:, [i]], np.ones(1)) for i, a in enumerate(axes)]
    single = [u.full for u in unit]
    varying = [i for i, n in enumerate(counts) if n > 1]
    for size, found in ((1, orders.first), (2, orders.second), (3, orders.third)):
        expected = np.zeros((7, 7))
        for subset in combinations(varying, size):
            expected += np.prod([weights[i] * single[i] for i in subset], axis=0)
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert np.linalg.eigvalsh(found).min() > -1e-9
    diagonal = kernels.diagonal(rows, weights)
    np.testing.assert_allclose(np.diag(orders.third), diagonal.third, atol=1e-12)
    np.testing.assert_allclose(np.diag(orders.second), diagonal.second, atol=1e-12)


def test_effects_rebuild_what_has_no_third_order() -> None:
    space = space_of(4, 3, 5)
    candidates = Candidates(space)
    assert candidates.all is not None
    rng = np.random.default_rng(0)
    mains, pair = [rng.normal(size=n) for n in (4, 3, 5)], rng.normal(size=(4, 3))
    rows = candidates.all
    values = sum(m[rows[:, i]] for i, m in enumerate(mains)) + pair[rows[:, 0], rows[:, 1]]
    effects = decompose(rows, values, candidates.levels)
    # Levels are shrunk a little towards nothing, so not all of it comes back.
    assert effects.rest(rows, values).std() < 0.1 * values.std()
    shares = dict(variance_shares(rows, values))
    assert max(shares.values()) <= 1.0
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.1)


def mixture(with_source: bool) -> tuple[Candidates, Prior]:
    space = space_of(5, 4, 3)
    candidates = Candidates(space)
    axes = [axis(o) for o in space.options]
    configurations = list(space.configurations())
    values = [np.exp(0.2 * c["o0"] - 0.3 * c["o1"] + 0.05 * c["o0"] * c["o2"]) for c in configurations]  # type: ignore[operator]
    guides = []
    if with_source:
        guide = make_guide(source(space.options, configurations, values), "latency_s", candidates)
        assert guide is not None
        assert guide.signal > 0.95
        guides = [guide]
    return candidates, Prior(axes, guides)


@pytest.mark.parametrize("with_source", [True, False])
def test_covariances_are_covariances(with_source: bool) -> None:
    candidates, prior = mixture(with_source)
    assert candidates.all is not None
    features = prior.features(candidates.all[::3])
    assert sum(m.weight for m in prior.members) == pytest.approx(1.0)
    if with_source:
        assert sum(m.weight for m in prior.members if m.guide < 0) >= 0.3
    for member in (prior.members[0], prior.members[-1], prior.members[len(prior.members) // 2]):
        covariance = combined(prior.covariances(features, features, [member]), member)
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-10)
        assert np.linalg.eigvalsh(covariance).min() > -1e-8
        np.testing.assert_allclose(np.diag(covariance), prior.variances(features, member), rtol=1e-9)


@pytest.mark.parametrize("count", [1, 6, 60])
def test_the_posterior_knows_what_was_measured(count: int) -> None:
    candidates, prior = mixture(with_source=True)
    assert candidates.all is not None
    rows = candidates.all[:: max(1, len(candidates.all) // count)][:count]
    truth = 0.5 + 0.25 * rows[:, 0] - 0.3 * rows[:, 1]
    posterior = Posterior(prior, prior.features(rows), truth)
    at = posterior.predict(prior.features(rows))
    assert at.weights.sum() == pytest.approx(1.0)
    assert np.abs(at.mean - truth).max() < 0.1
    elsewhere = posterior.predict(prior.features(candidates.all))
    assert at.deviation.mean() <= elsewhere.deviation.mean() + 1e-9
    draws = posterior.sample(prior.features(rows[:3]), 200, np.random.default_rng(0))
    assert draws.shape[1] == len(rows[:3])
    np.testing.assert_allclose(draws.mean(axis=0), at.mean[:3], atol=0.2)


def test_a_source_whose_values_are_noise_is_no_guide() -> None:
    space = space_of(5, 4, 3)
    configurations = list(space.configurations())
    noise = np.exp(np.random.default_rng(0).normal(size=len(configurations)))
    assert make_guide(source(space.options, configurations, noise), "latency_s", Candidates(space)) is None


@given(st.lists(st.floats(-1e6, 1e6).filter(lambda v: v != 0), min_size=2, max_size=20))
def test_the_response_keeps_the_order(values: list[float]) -> None:
    response = Response(np.array(values))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(response.values[order]) >= -1e-12)
    assert np.all(response.slope >= 0)


@pytest.mark.parametrize("values", [[0.5, 2.0, 8.0], [-0.5, -2.0, -8.0], [-1.0, 0.0, 3.0]])
def test_a_response_is_turned_back_into_the_values(values: list[float]) -> None:
    response = Response(np.array(values))
    back, deviation = response.back(response.values, np.full(3, 0.1))
    np.testing.assert_allclose(back, values, atol=1e-12)
    assert np.all(deviation > 0)


@st.composite
def conditional_spaces(draw: st.DrawFn) -> ConfigurationSpace:
    modes = tuple("abc"[: draw(st.integers(1, 3))])
    options = [Option("mode", modes, "categorical")]
    for i in range(draw(st.integers(1, 3))):
        condition = Condition("mode", (draw(st.sampled_from(modes)),)) if draw(st.booleans()) else None
        options.append(Option(f"o{i}", tuple(range(draw(st.integers(1, 4)))), condition=condition))
    return ConfigurationSpace(tuple(options))


@given(conditional_spaces(), st.integers(0, 10**6))
@settings(max_examples=60)
def test_candidates_are_the_space(space: ConfigurationSpace, seed: int) -> None:
    candidates = Candidates(space)
    assert candidates.all is not None
    expected = {space.indices(c) for c in space.configurations()}
    assert {tuple(map(int, r)) for r in candidates.all} == expected
    assert len(candidates.all) == space.size
    rng = np.random.default_rng(seed)
    taken = candidates.draw(3, rng)
    free = candidates.all[free_mask(candidates.all, taken)]
    assert {tuple(map(int, r)) for r in free} == expected - {tuple(map(int, r)) for r in taken}
    for near in candidates.neighbours([int(v) for v in candidates.all[0]]):
        assert tuple(map(int, near)) in expected
    design = balanced_design(candidates, 5, rng)
    assert len(design) == len(unique_rows(design)) == min(5, space.size)
    assert {tuple(map(int, r)) for r in design} <= expected


def test_a_design_is_balanced() -> None:
    candidates = Candidates(space_of(4, 4, 3))
    design = balanced_design(candidates, 12, np.random.default_rng(0))
    for column, levels in zip(design.T, (4, 4, 3), strict=True):
        counts = np.bincount(column, minlength=levels)
        assert counts.max() - counts.min() <= 1
    more = balanced_design(candidates, 12, np.random.default_rng(0), start=design)
    assert not {tuple(r) for r in more} & {tuple(r) for r in design}


def test_correlations_of_many_levels_are_those_of_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    space = space_of(5, 4, 3)
    axes = [axis(o) for o in space.options]
    rows = np.array([space.indices(c) for c in space.configurations()])
    few = LevelKernels(axes, SHORT)
    monkeypatch.setattr("tuner_plugins.strategies.transfer.kernels.TABLE_LEVELS", 1)
    np.testing.assert_allclose(LevelKernels(axes, SHORT).first(rows, rows), few.first(rows, rows))
    many = LevelKernels([axis(Option("run", tuple(range(200_000))))], SHORT)  # a table of it has 300 GiB
    assert many.first(np.array([[0], [199_999]]), np.array([[0]])).shape == (2, 1)
