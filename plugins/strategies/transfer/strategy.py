"""The default strategy: a mixture of Gaussian processes around what the sources say, and around nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import Belief, SourceData, StrategyContext, TargetModel
from tuner.search.candidates import Candidates
from tuner.search.configuration_sampler import ConfigurationSampler
from tuner.search.design import CONSIDERED, JUDGED, balanced_design, informative_design
from tuner.search.observations import Observations
from tuner.space import Configuration, ConfigurationSpace

from .acquisition import expected_improvement, probability_below
from .effects import variance_shares
from .guide import response
from .landscape import Landscape, landscape_of
from .posterior import Posterior, Prediction
from .prior import Features

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Configurations measured before a model is asked, where no source speaks.
START_UP, START_UP_MANY = 4, 8
#: Of how many candidates each of them is the best balanced: of all, or of few where there are many options.
AMONG_ALL, AMONG_FEW, MANY_OPTIONS = CONSIDERED, 2, 12
#: Candidates among which the optimum is sought for a belief, draws, and "within x percent".
FOREMOST, DRAWS, WITHIN_PERCENT = 40, 400, (1.0, 2.0, 5.0)
#: Terms that a belief names.
MOST_TERMS = 10
_FAILED, _WORKED = 0.5, -0.5


class TransferSampler(ConfigurationSampler):
    """Suggests by expected improvement, averaged over guesses of how the target departs from the sources.

    The first suggestion is what the sources hold for the best. From then on each guess (see
    `strategies.transfer.prior`) is weighed by how likely it makes the trials; part of the prior weight is on guesses
    without any source, so that a misleading one is soon ignored. Without a source, a few balanced configurations
    come first.

    Args:
        space: The configuration space, None to infer it from the study.
        sources: Measurements of other environments.
        quantity: What is minimised, as the sources' metrics call it ("energy"); None takes their first metric.
        seed: Of everything random.
        landscape: Made of the same space and sources before, to save the time.
    """

    def __init__(
        self,
        space: ConfigurationSpace | None = None,
        sources: Sequence[SourceData] = (),
        quantity: str | None = None,
        seed: int | None = None,
        landscape: Landscape | None = None,
    ) -> None:
        super().__init__(space, seed=seed)
        self._sources, self._quantity, self._landscape = tuple(sources), quantity, landscape
        if landscape is not None:
            self._candidates = landscape.candidates

    def suggest(
        self, candidates: Candidates, observations: Observations, rng: np.random.Generator
    ) -> Sequence[int] | None:
        """Return the next configuration; None where nothing is left."""
        if self._landscape is None or self._landscape.candidates is not candidates:
            self._landscape = Landscape(candidates, self._sources, self._quantity)
        land = self._landscape
        many = len(candidates.levels) > MANY_OPTIONS
        start_up = START_UP_MANY if many else START_UP
        if not land.guides and len(observations.indices) + len(observations.pending) < start_up:
            among = AMONG_FEW if many else AMONG_ALL
            found = balanced_design(candidates, 1, rng, observations.taken, among)
            return tuple(int(v) for v in found[0]) if len(found) else None
        pool = land.pool(observations.indices, observations.values, observations.taken, rng)
        if not len(pool.indices):
            return None
        if not len(observations.indices):
            score = -land.expected(pool.indices) if land.guides else rng.random(len(pool.indices))
        else:
            score = self._score(land, pool, observations, rng)
        best = np.flatnonzero(score >= score.max() - 1e-12 * abs(score.max()))
        return tuple(int(v) for v in pool.indices[int(rng.choice(best))])

    def _score(self, land: Landscape, pool: Features, observations: Observations, rng: np.random.Generator) -> Floats:
        """Return the (n,) worth of measuring each of `pool`."""
        values, slope = response(observations.values)
        measured = land.features(observations.indices)
        errors = observations.relative_errors * slope
        posterior = Posterior(land.prior, measured, values, errors)
        if len(observations.pending):
            measured, values, errors = _believed(land, posterior, measured, values, errors, observations.pending)
            posterior = Posterior(land.prior, measured, values, errors)
        at_measured, at_pool = posterior.predict(measured), posterior.predict(pool)
        feasible = np.append(observations.violations <= 0, np.zeros(len(observations.pending), dtype=bool))
        incumbents = _incumbents(at_measured, feasible)
        score = expected_improvement(at_pool, incumbents)
        allowed = _feasibility(land, pool, observations)
        if allowed is not None:
            score = score * allowed if feasible.any() else allowed
        terms = _terms(land, pool, at_pool.mean)
        self.belief = _belief(land, posterior, measured, at_measured.mean, pool, score, feasible, terms, rng)
        return np.asarray(score)


def _incumbents(at_measured: Prediction, feasible: NDArray[np.bool_]) -> Floats:
    allowed = feasible if feasible.any() else np.ones(len(feasible), dtype=bool)
    return np.asarray(at_measured.means[:, allowed].min(axis=1))


def _believed(
    land: Landscape, posterior: Posterior, measured: Features, values: Floats, errors: Floats, pending: Indices
) -> tuple[Features, Floats, Floats]:
    """Return the measurements with those that run elsewhere added as what is expected of them."""
    rows = np.vstack([measured.indices, pending])
    expected = posterior.predict(land.features(pending)).mean
    features = land.features(rows)
    return features, np.append(values, expected), np.append(errors, np.full(len(pending), np.nan))


def _feasibility(land: Landscape, pool: Features, observations: Observations) -> Floats | None:
    """Return the (n,) probability that a candidate keeps the constraints and gives a value; None where all do."""
    result: Floats | None = None
    where = observations.indices
    columns = [(where, column) for column in observations.constraints.T]
    if len(observations.failed):
        outcome = np.append(np.full(len(where), _WORKED), np.full(len(observations.failed), _FAILED))
        columns.append((np.vstack([where, observations.failed]), outcome))
    free = land.free_prior()
    for rows, column in columns:
        if not len(column) or column.max() <= 0:
            continue
        scale = 2.0 * (float(column.std()) or abs(float(column[0])) or 1.0)
        told = Posterior(free, free.features(rows), column / scale)
        probability = probability_below(told.predict(pool), 0.0)
        result = probability if result is None else result * probability
    return result


def _belief(
    land: Landscape,
    posterior: Posterior,
    measured: Features,
    at_measured: Floats,
    pool: Features,
    score: Floats,
    feasible: NDArray[np.bool_],
    terms: tuple[tuple[tuple[str, ...], float], ...],
    rng: np.random.Generator,
) -> Belief:
    """Return what the mixture says of the sources, the options and the optimum."""
    weights = posterior.guide_weights()
    foremost = pool.take(np.argsort(-score, kind="stable")[:FOREMOST])
    allowed = feasible if feasible.any() else np.ones(len(feasible), dtype=bool)
    best = int(np.flatnonzero(allowed)[np.argmin(at_measured[allowed])])
    both = land.features(np.vstack([measured.indices[best], foremost.indices]))
    draws = posterior.sample(both, DRAWS, rng)
    gain = np.maximum(0.0, draws[:, 0] - draws[:, 1:].min(axis=1)) if draws.shape[1] > 1 else np.zeros(len(draws))
    return Belief(
        {g.name: float(w) for g, w in zip(land.guides, weights, strict=True)},
        terms,
        float(100.0 * np.mean(1.0 - np.exp(-gain))),
        {x: float(np.mean(gain <= np.log1p(x / 100.0))) for x in WITHIN_PERCENT},
    )


def _terms(land: Landscape, pool: Features, mean: Floats) -> tuple[tuple[tuple[str, ...], float], ...]:
    names = [o.name for o in land.candidates.space.options]
    shares = variance_shares(pool.indices, mean, land.candidates.levels)
    return tuple((tuple(names[i] for i in positions), share) for positions, share in shares[:MOST_TERMS])


class _Model:
    """A `TargetModel` of the mixture."""

    def __init__(self, land: Landscape, posterior: Posterior, positive: bool, scale: tuple[float, float]) -> None:
        self._land, self._posterior, self._positive, self._scale = land, posterior, positive, scale

    def predict(self, configurations: Sequence[Configuration]) -> Sequence[float]:
        """Return one value per configuration (the median of the mixture, in the objective's unit)."""
        space = self._land.candidates.space
        rows = np.array([space.indices(c) for c in configurations], dtype=np.int64)
        means = self._posterior.predict(self._land.features(rows)).mean
        if self._positive:
            return [float(v) for v in np.exp(means)]
        centre, spread = self._scale
        return [float(v) for v in centre + spread * means]


class TransferStrategy:
    """Bayesian optimisation that starts from what other environments taught; needs no source."""

    name = "transfer"
    summary = "Bayesian optimisation guided by any number of sources, none included"

    def __init__(self) -> None:
        self._prepared: tuple[object, object, str, Landscape] | None = None

    def check(self, context: StrategyContext) -> None:
        """Accept everything: a source that shares nothing with the space is left out."""

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        """Return no configurations: the sampler makes the first suggestions too."""
        return ()

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the sampler; what depends on space and sources only is made once."""
        return TransferSampler(context.space, seed=context.seed, landscape=self._landscape(context))

    def _landscape(self, context: StrategyContext) -> Landscape:
        quantity = context.objective.metric.quantity
        held = self._prepared
        if held is None or held[0] is not context.space or held[1] is not context.sources or held[2] != quantity:
            land = landscape_of(context.space, context.sources, quantity)
            held = self._prepared = (context.space, context.sources, quantity, land)
        return held[3]

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return the `count` configurations that leave the model the least uncertain."""
        land = self._landscape(context)
        rng = np.random.default_rng(context.seed)
        pool = land.features(land.candidates.draw(JUDGED, rng))
        found = pool.indices[informative_design(*land.prior.typical(pool), count, rng)]
        return [context.space.from_indices([int(v) for v in row]) for row in found]

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return the mixture, conditioned on the measured values (`learner` is ignored)."""
        land = self._landscape(context)
        rows = np.array([context.space.indices(c) for c in configurations], dtype=np.int64)
        numbers = np.array(values, dtype=float)
        scale = (float(numbers.mean()), 2.0 * (float(numbers.std()) or 1.0))
        posterior = Posterior(land.prior, land.features(rows), response(numbers)[0])
        return _Model(land, posterior, bool(np.all(numbers > 0)), scale)
