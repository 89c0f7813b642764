"""The default strategy: a mixture of Gaussian processes, around the sources' surfaces and around none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.models.encoding import level_rows
from tuner.ports import Belief, SourceData, StrategyContext, TargetModel
from tuner.search.candidates import Candidates, level_indices
from tuner.search.design import CONSIDERED, JUDGED, balanced_design, informative_design
from tuner.search.importance import variance_shares
from tuner.search.observations import Observations
from tuner.search.source_predictor import SourceSampler, SourceStrategy
from tuner.space import Configuration, ConfigurationSpace

from .acquisition import expected_improvement
from .posterior import Posterior
from .predictor import TransferPredictor
from .prior import Features
from .response import Response

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Configurations measured before a model is asked, where there is no source.
START_UP, START_UP_MANY = 4, 8
#: Of how many candidates each of them is the best balanced: of all, or of few where there are many options.
AMONG_ALL, AMONG_FEW, MANY_OPTIONS = CONSIDERED, 2, 12
#: Candidates among which the optimum is sought for a belief, draws, and "within x percent".
BEST_SCORED, DRAWS, WITHIN_PERCENT = 40, 400, (1.0, 2.0, 5.0)
#: Terms that a belief names.
MOST_TERMS = 10


@dataclass(frozen=True)
class _Trials:
    """Trials as the mixture learns from them: features, (n,) responses, their (n,) errors and which are feasible."""

    features: Features
    response: Floats
    errors: Floats
    feasible: NDArray[np.bool_]

    @property
    def compared(self) -> NDArray[np.bool_]:
        """(n,) the trials that the best is one of: the feasible ones, all where there is none."""
        return self.feasible if self.feasible.any() else np.ones(len(self.feasible), dtype=bool)


class TransferSampler(SourceSampler[TransferPredictor]):
    """Suggests by expected improvement, averaged over guesses of how the target departs from the sources.

    The first suggestion is what the sources predict to be best. From then on each guess (see
    `strategies.transfer.prior`) is weighed by how likely it makes the trials; part of the prior weight is on guesses
    without any source, so that a misleading one is soon ignored. Without a source, a few balanced configurations
    come first.

    Args:
        space: The configuration space, None to infer it from the study.
        sources: Measurements of other environments.
        quantity: What is minimised, as the sources' metrics call it ("energy"); None takes their first metric.
        seed: Of everything random.
        predictor: Made of the same space and sources before, to save the time.
    """

    def __init__(
        self,
        space: ConfigurationSpace | None = None,
        sources: Sequence[SourceData] = (),
        quantity: str | None = None,
        seed: int | None = None,
        predictor: TransferPredictor | None = None,
    ) -> None:
        super().__init__(space, sources, seed, predictor)
        self._quantity = quantity

    def make_predictor(self, candidates: Candidates) -> TransferPredictor:
        """Return the prior over the space."""
        return TransferPredictor(candidates, self._sources, self._quantity)

    def suggest(
        self, candidates: Candidates, observations: Observations, rng: np.random.Generator
    ) -> Sequence[int] | None:
        """Return the next configuration; None where nothing is left."""
        predictor = self.predictor(candidates)
        many = len(candidates.levels) > MANY_OPTIONS
        start_up = START_UP_MANY if many else START_UP
        if not predictor.names and len(observations.indices) + len(observations.pending) < start_up:
            among = AMONG_FEW if many else AMONG_ALL
            found = balanced_design(candidates, 1, rng, observations.taken, among)
            return level_indices(found[0]) if len(found) else None
        pool = predictor.pool(observations, rng)
        if not len(pool):
            return None
        if not len(observations.indices):
            score = -predictor.expected(pool) if predictor.names else rng.random(len(pool))
        else:
            score = self._score(predictor, pool, observations, rng)
        best = np.flatnonzero(score >= score.max() - 1e-12 * abs(score.max()))
        return level_indices(pool[int(rng.choice(best))])

    def _score(
        self, predictor: TransferPredictor, rows: Indices, observations: Observations, rng: np.random.Generator
    ) -> Floats:
        """Return the (n,) worth of measuring each of `rows`."""
        response = Response(observations.values)
        trials = _Trials(
            predictor.features(observations.indices),
            response.values,
            observations.relative_errors * response.slope,
            observations.violations <= 0,
        )
        posterior = Posterior(predictor.prior, trials.features, trials.response, trials.errors)
        if len(observations.pending):
            trials = _with_pending(predictor, posterior, trials, observations.pending)
            posterior = Posterior(predictor.prior, trials.features, trials.response, trials.errors)
        pool = predictor.features(rows)
        at_trials, at_pool = posterior.predict(trials.features), posterior.predict(pool)
        score = expected_improvement(at_pool, at_trials.means[:, trials.compared].min(axis=1))
        allowed = predictor.feasibility.probability(rows, observations)
        if allowed is not None:
            score = score * allowed if trials.feasible.any() else allowed
        best = int(np.flatnonzero(trials.compared)[np.argmin(at_trials.mean[trials.compared])])
        likely = rows[np.argsort(-score, kind="stable")[:BEST_SCORED]]
        gain = _gain(predictor, posterior, np.vstack([trials.features.indices[best], likely]), rng)
        self.belief = Belief(
            {n: float(w) for n, w in zip(predictor.names, posterior.guide_weights(), strict=True)},
            _terms(predictor, rows, at_pool.mean),
            float(100.0 * np.mean(1.0 - np.exp(-gain))),
            {x: float(np.mean(gain <= np.log1p(x / 100.0))) for x in WITHIN_PERCENT},
        )
        return np.asarray(score)


def _with_pending(predictor: TransferPredictor, posterior: Posterior, trials: _Trials, pending: Indices) -> _Trials:
    """Return the trials with those that run elsewhere added as what is expected of them."""
    expected = posterior.predict(predictor.features(pending)).mean
    return _Trials(
        predictor.features(np.vstack([trials.features.indices, pending])),
        np.append(trials.response, expected),
        np.append(trials.errors, np.full(len(pending), np.nan)),
        np.append(trials.feasible, np.zeros(len(pending), dtype=bool)),
    )


def _gain(predictor: TransferPredictor, posterior: Posterior, rows: Indices, rng: np.random.Generator) -> Floats:
    """Return (draws,) by how much the least response among `rows` is below that of the first, the best trial."""
    draws = posterior.sample(predictor.features(rows), DRAWS, rng)
    return np.asarray(np.maximum(0.0, draws[:, 0] - draws[:, 1:].min(axis=1, initial=np.inf)))


def _terms(predictor: TransferPredictor, rows: Indices, mean: Floats) -> tuple[tuple[tuple[str, ...], float], ...]:
    names = [o.name for o in predictor.candidates.space.options]
    shares = variance_shares(rows, mean)[:MOST_TERMS]
    return tuple((tuple(names[i] for i in positions), share) for positions, share in shares)


class _Model:
    """A `TargetModel` of the mixture."""

    def __init__(self, predictor: TransferPredictor, posterior: Posterior, response: Response) -> None:
        self._predictor, self._posterior, self._response = predictor, posterior, response

    def predict(self, configurations: Sequence[Configuration]) -> Sequence[float]:
        """Return one value per configuration (the median of the mixture, in the objective's unit)."""
        rows = level_rows(self._predictor.candidates.space.options, configurations)
        found = self._posterior.predict(self._predictor.features(rows))
        return [float(v) for v in self._response.back(found.mean, found.deviation)[0]]


class TransferStrategy(SourceStrategy[TransferPredictor]):
    """Bayesian optimisation that starts from what other environments taught; needs no source."""

    name = "transfer"
    summary = "Bayesian optimisation guided by any number of sources, none included"

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the sampler; what depends on space and sources only is made once."""
        return TransferSampler(context.space, seed=context.seed, predictor=self.predictor(context))

    def make_predictor(self, context: StrategyContext, learner: str, seed: int) -> TransferPredictor:
        """Return the prior over the context's space (`learner` and `seed` are not used)."""
        return TransferPredictor(Candidates(context.space), context.sources, context.objective.metric.quantity)

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return the `count` configurations that leave the model the least uncertain."""
        predictor, rng = self.predictor(context), np.random.default_rng(context.seed)
        pool = predictor.features(predictor.candidates.draw(JUDGED, rng))
        found = pool.indices[informative_design(*predictor.prior.typical(pool), count, rng)]
        return [context.space.from_indices(level_indices(row)) for row in found]

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return the mixture, conditioned on the measured values (`learner` is not used)."""
        predictor = self.predictor(context)
        rows = level_rows(context.space.options, configurations)
        response = Response(np.array(values, dtype=float))
        return _Model(predictor, Posterior(predictor.prior, predictor.features(rows), response.values), response)
