"""What the study's strategies (dm, lms, nlms, gs) share: source models, the choice among candidates, model shifts.

Reference: Iqbal, Kotthoff, Jamshidi, 'Transfer Learning for Performance Modeling of Deep Neural Network Systems',
OpML'19.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import numpy as np

from tuner.config.values import Settings
from tuner.errors import TunerError, UsageError
from tuner.models import create
from tuner.models.encoding import Encoder, level_rows
from tuner.models.target import above_floor
from tuner.objective import Metric
from tuner.ports import Belief, SourceData, StrategyContext, TargetModel
from tuner.search.candidates import Candidates, level_indices
from tuner.search.coordinates import axis
from tuner.search.observations import Observations
from tuner.search.source_predictor import SourcePredictor, SourceSampler, SourceStrategy
from tuner.space import Configuration, ConfigurationSpace

from ..transfer.feasibility import Feasibility
from .source_models import fit_source, matched_source, rank_agreement, source_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]
    #: (sources, n) predictions for the trials, (n,) values, (sources, m) predictions -> (sources, m) of the target.
    Shift = Callable[[Floats, Floats, Floats], Floats]

#: Random configurations by which predictions are standardised, of a space too large to enumerate.
STANDARDISED_BY = 2_000
#: Trials before the shifted model decides, where the number of trials is unknown.
START_UP = 4


class SourceModels(SourcePredictor):
    """The sources' performance models over a target's candidates.

    Args:
        candidates: The target's configurations.
        sources: Those that lack the quantity, or share no option with the space, are left out.
        quantity: What is minimised; None takes each source's first metric.
        learner: Name of the performance model.
        seed: For learners that have chance.
    """

    def __init__(
        self, candidates: Candidates, sources: Sequence[SourceData], quantity: str | None, learner: str, seed: int
    ) -> None:
        super().__init__(candidates, seed)
        self.learner, self.seed = learner, seed
        space = candidates.space
        self.models = tuple(
            fit_source(s, quantity, space, learner, seed) for s in sources if _usable(s, quantity, space)
        )
        self.names = tuple(m.name for m in self.models)
        self.encoder = Encoder(space.options)
        self.feasibility = Feasibility([axis(o) for o in space.options])
        every = candidates.all
        sample = candidates.draw(STANDARDISED_BY, np.random.default_rng(seed)) if every is None else every
        predicted = self.predict(sample)
        self._centres, scales = predicted.mean(axis=1), predicted.std(axis=1)
        self._scales = np.where(scales > 0, scales, 1.0)

    def predict(self, rows: Indices) -> Floats:
        """Return (sources, n) predictions, each in its source's unit."""
        if not self.models:
            return np.zeros((0, len(rows)))
        return np.stack([m.predict(rows) for m in self.models])

    def mixed(self, predicted: Floats, agreement: Floats) -> Floats:
        """Return the (n,) weighted mean of (sources, n) predictions, each standardised: of no unit."""
        standard = (predicted - self._centres[:, None]) / self._scales[:, None]
        return np.asarray(source_weights(agreement) @ standard)

    def expected(self, rows: Indices) -> Floats:
        """Return the (n,) mean of the standardised predictions, the sources weighed equally."""
        return self.mixed(self.predict(rows), np.ones(len(self.models)))

    def includes_best(self, rows: Indices) -> bool:
        """Return whether one of `rows` is as good as the best that the sources predict."""
        best = self.expected(self.promising[:1]).min()
        return bool(len(rows)) and bool(self.expected(rows).min() <= best + 1e-9)


def _usable(source: SourceData, quantity: str | None, space: ConfigurationSpace) -> bool:
    try:
        matched_source(source, quantity, space.options)
    except TunerError:
        return False
    return True


class Evidence:
    """How the sources' predictions agree with the trials.

    Attributes:
        observations: The trials.
        predicted: (sources, n) what the sources predicted for the trials that gave a value.
        agreement: (sources,) Spearman's correlation between predictions and values; 1 before the third.
    """

    def __init__(self, models: SourceModels, observations: Observations) -> None:
        self.observations = observations
        self.predicted = models.predict(observations.indices)
        self.agreement = rank_agreement(self.predicted, observations.values)


M = TypeVar("M", bound=SourceModels)


class StudySampler(SourceSampler[M]):
    """The base of the study's samplers: each suggests the least of its model, `score`.

    Ties are broken by what the sources predict, then by the seed, so that configurations that differ only in options
    that no source knows are explored. Where a trial broke a constraint or failed, candidates that are expected to do so
    come last. Several sources are weighed by the square of Spearman's correlation between their predictions and the
    target's trials (equally before the third); without any usable source the suggestion is random.

    Args:
        space: The configuration space, None to infer it from the study.
        sources: Measurements of other environments.
        learner: Performance model (`tuner.models`) of the sources.
        metric: What is minimised, as the sources call it ("latency"); None takes each one's first metric.
        seed: Of everything random.
        start_up: Trials before `score` decides: the sources' best, then random ones.
        predictor: Made of the same space and sources before, to save the time.
    """

    start_up_default: ClassVar[int] = START_UP
    predictor_class: ClassVar[type[SourceModels]] = SourceModels

    def __init__(
        self,
        space: ConfigurationSpace | None = None,
        sources: Sequence[SourceData] = (),
        learner: str = Settings.learner,
        metric: str | None = None,
        seed: int | None = None,
        *,
        start_up: int | None = None,
        predictor: M | None = None,
    ) -> None:
        super().__init__(space, sources, seed, predictor)
        self._learner, self._metric = learner, metric
        self._start_up = self.start_up_default if start_up is None else start_up

    def make_predictor(self, candidates: Candidates) -> M:
        """Return the sources' models."""
        made: Any = self.predictor_class(candidates, self._sources, self._metric, self._learner, self._seed or 0)
        return cast(M, made)

    def score(self, models: M, rows: Indices, predicted: Floats, evidence: Evidence) -> Floats:
        """Return (n,) what is expected at `rows`, the least being the best; by default what the sources predict.

        Args:
            models: The sources' models.
            rows: (n, options) level indices.
            predicted: (sources, n) the sources' predictions there.
            evidence: How the sources' predictions agree with the trials.
        """
        return models.mixed(predicted, evidence.agreement)

    def suggest(
        self, candidates: Candidates, observations: Observations, rng: np.random.Generator
    ) -> Sequence[int] | None:
        """Return the next configuration; None where nothing is left, or no source is of use."""
        models = self.predictor(candidates)
        rows = models.pool(observations, rng)
        if not len(rows) or not models.models:
            return None
        predicted, evidence = models.predict(rows), Evidence(models, observations)
        self.belief = self.believed(models, evidence)
        starting = len(observations.taken) < self._start_up
        if starting and models.includes_best(observations.taken):
            return level_indices(rows[int(rng.integers(len(rows)))])
        sources = models.mixed(predicted, evidence.agreement)
        undecided = starting or not len(observations.values)
        scores = sources if undecided else self.score(models, rows, predicted, evidence)
        # Keys from the last to the first: what is likely to break a constraint comes last, the more likely the later.
        keys = [rng.random(len(rows)), sources, scores]
        feasible = models.feasibility.probability(rows, observations)
        if feasible is not None:
            keys.append(np.maximum(0.0, 0.5 - feasible))
        return level_indices(rows[int(np.lexsort(keys)[0])])

    def believed(self, models: M, evidence: Evidence) -> Belief:
        """Return the rank agreement of each source with the trials, 0 where it misleads."""
        return Belief({n: float(max(0.0, a)) for n, a in zip(models.names, evidence.agreement, strict=True)})


class ShiftedModel:
    """A `TargetModel`: the sources' predictions after a shift, weighed by the sources' rank agreement."""

    def __init__(
        self, models: SourceModels, configurations: Sequence[Configuration], values: Sequence[float], shift: Shift
    ) -> None:
        self._models, self._shift = models, shift
        self._values = np.asarray(values, dtype=float)
        self._at = self._predicted(configurations)
        self._weights = source_weights(rank_agreement(self._at, self._values))

    def _predicted(self, configurations: Sequence[Configuration]) -> Floats:
        return self._models.predict(level_rows(self._models.candidates.space.options, configurations))

    def predict(self, configurations: Sequence[Configuration]) -> Sequence[float]:
        """Return one value per configuration, in the objective's unit."""
        there = self._predicted(configurations)
        shifted = self._shift(self._at, self._values, there)
        return [float(v) for v in above_floor(np.asarray(self._weights @ shifted), self._values)]


class StudyStrategy(SourceStrategy[M]):
    """The base of the study's strategies. Subclasses name their sampler and make the target's model."""

    needs_source = True
    predictor_class: ClassVar[type[SourceModels]] = SourceModels

    def check(self, context: StrategyContext) -> None:
        """Refuse to start without usable sources, or without the learner.

        Raises:
            UsageError: no source, or one that shares no option with the space.
            TableError: a source lacks the objective.
            UnknownModelError: there is no such learner.
        """
        if not context.sources:
            raise UsageError(f"Strategy '{self.name}' needs a source.", "Name one with --source TABLE or STUDY.")
        for source in context.sources:
            _, metric = matched_source(source, context.objective.metric.quantity, context.space.options)
            self.check_unit(source, metric, context.objective.metric)
        create(context.settings.learner)

    def check_unit(self, source: SourceData, measured: Metric, wanted: Metric) -> None:
        """Accept any unit: of a source only the shape is used. (`dm` refuses.)"""

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the sampler of one suggestion; the sources' models are made once for all of a session."""
        settings = context.settings
        return self.make_sampler(context, self.predictor(context, settings.learner, settings.seed))

    @abstractmethod
    def make_sampler(self, context: StrategyContext, models: M) -> BaseSampler:
        """Return the sampler for one suggestion."""

    def make_predictor(self, context: StrategyContext, learner: str, seed: int) -> M:
        """Return the sources' models over the context's space."""
        quantity = context.objective.metric.quantity
        made: Any = self.predictor_class(Candidates(context.space), context.sources, quantity, learner, seed)
        return cast(M, made)


class ShiftSampler(StudySampler[SourceModels]):
    """The base of model shifts: suggests the least of the sources' predictions after a shift fitted to the trials."""

    @abstractmethod
    def shift(self, at: Floats, trials: Observations, there: Floats, seed: int) -> Floats:
        """Return (m,) values of the target from one source's (m,) predictions `there`.

        Args:
            at: (n,) the source's predictions for the trials.
            trials: What the n trials gave, n >= 1.
            there: The source's predictions where the target is asked for.
            seed: For what has chance.
        """

    def score(self, models: SourceModels, rows: Indices, predicted: Floats, evidence: Evidence) -> Floats:
        """Return (n,) the shifted predictions, sources weighed by their rank agreement of either sign."""
        pairs = zip(evidence.predicted, predicted, strict=True)
        shifted = [self.shift(at, evidence.observations, there, models.seed) for at, there in pairs]
        return np.asarray(source_weights(np.abs(evidence.agreement)) @ np.stack(shifted))


class ShiftStrategy(StudyStrategy[SourceModels]):
    """The base of the study's model shifts, which measure random configurations of the target."""

    @abstractmethod
    def shift(self, at: Floats, values: Floats, there: Floats, seed: int) -> Floats:
        """Return (m,) values of the target from one source's (m,) predictions `there`; see `ShiftSampler.shift`."""

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return `count` random configurations, as the study does; fewer in a small space."""
        rows = Candidates(context.space).draw(count, np.random.default_rng(context.seed))
        return [context.space.from_indices(level_indices(r)) for r in rows]

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return the shifted model; without any measurement, the sources' own."""

        def shifted(predicted: Floats, measured: Floats, there: Floats) -> Floats:
            if not len(measured):
                return there
            pairs = zip(predicted, there, strict=True)
            return np.stack([self.shift(at, measured, to, context.seed) for at, to in pairs])

        return ShiftedModel(self.predictor(context, learner, context.seed), configurations, values, shifted)


def start_up_of(context: StrategyContext) -> int:
    """Return how many trials come before a model decides: a quarter of the budget, at most 4."""
    return START_UP if context.budget_trials is None else max(1, min(START_UP, context.budget_trials // 4))
