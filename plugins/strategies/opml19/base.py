"""What the study's strategies (dm, lms, nlms, gs) share: source models, candidates, the choice among them.

Reference: Iqbal, Kotthoff, Jamshidi, 'Transfer Learning for Performance Modeling of Deep Neural Network Systems',
OpML'19.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.config.values import Settings
from tuner.errors import TunerError, UsageError
from tuner.objective import Metric
from tuner.ports import Belief, SourceData, StrategyContext
from tuner.search.candidates import Candidates, free_mask, unique_rows
from tuner.search.configuration_sampler import ConfigurationSampler
from tuner.search.observations import Observations
from tuner.space import Configuration, ConfigurationSpace

from .feasibility import expected_violation
from .source_models import (
    LevelDesign,
    above_floor,
    fit_source,
    matched_source,
    new_learner,
    rank_agreement,
    source_weights,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Of spaces too large to enumerate: so many of the sources' best, drawn by chance, measured ones to look around.
OF_SOURCE, BY_CHANCE, AROUND = 300, 1_000, 2
#: Trials before the shifted model decides, where the number of trials is unknown.
START_UP = 4


class Told:
    """What the trials say of the sources.

    Attributes:
        observations: The trials.
        predicted: (sources, n) what the sources predicted for the trials that gave a value.
        agreement: (sources,) Spearman's correlation between predictions and values; 1 before the third.
    """

    def __init__(self, knowledge: Knowledge, observations: Observations) -> None:
        self.observations = observations
        self.predicted = knowledge.predict(observations.indices)
        self.agreement = rank_agreement(self.predicted, observations.values)


class Knowledge:
    """The sources' models over a target's candidates. Depends on no trial: made once a session.

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
        self.candidates, self.learner, self.seed = candidates, learner, seed
        space = candidates.space
        self.models = tuple(
            fit_source(s, quantity, space, learner, seed) for s in sources if _usable(s, quantity, space)
        )
        self.design = LevelDesign(space)
        rng = np.random.default_rng(seed)
        drawn = candidates.all if candidates.all is not None else candidates.draw(2 * BY_CHANCE, rng)
        predicted = self.predict(drawn)
        self._centres, self._scales = predicted.mean(axis=1), predicted.std(axis=1)
        self._every = predicted if candidates.all is not None else None
        self._promising = self._searched(drawn)
        self._foremost = self._least(predicted if candidates.all is not None else self.predict(self._promising))

    def _least(self, predicted: Floats) -> float:
        return float(self.mixed(predicted, np.ones(len(self.models))).min()) if predicted.size else 0.0

    def holds_foremost(self, rows: Indices) -> bool:
        """Return whether one of `rows` is as good as what the sources, equally weighed, hold for the best."""
        return bool(len(rows)) and self._least(self.predict(rows)) <= self._foremost + 1e-9

    def _searched(self, drawn: Indices) -> Indices:
        """Return the sources' best of a space that is not enumerated, by local searches from `drawn`."""
        if self.candidates.all is not None or not self.models:
            return drawn[:0]

        def score(rows: Indices) -> Floats:
            return self.mixed(self.predict(rows), np.ones(len(self.models)))

        found = self.candidates.descended(drawn, score)
        return found[np.argsort(score(found), kind="stable")[:OF_SOURCE]]

    def predict(self, rows: Indices) -> Floats:
        """Return (sources, n) predictions, each in its source's unit."""
        if not self.models:
            return np.zeros((0, len(rows)))
        return np.stack([m.predict(rows) for m in self.models])

    def mixed(self, predicted: Floats, agreement: Floats) -> Floats:
        """Return the (n,) weighted mean of (sources, n) predictions, each standardised: of no unit."""
        scales = np.where(self._scales > 0, self._scales, 1.0)
        standard = (predicted - self._centres[:, None]) / scales[:, None]
        return np.asarray(source_weights(agreement) @ standard)

    def free(self, observations: Observations, rng: np.random.Generator) -> tuple[Indices, Floats]:
        """Return the (n, options) configurations to choose from, none of them taken, and `predict` of them."""
        every = self.candidates.all
        if every is not None and self._every is not None:
            mask = free_mask(every, observations.taken)
            return every[mask], self._every[:, mask]
        best = observations.indices[np.argsort(observations.values, kind="stable")[:AROUND]]
        parts = [self._promising, self.candidates.draw(BY_CHANCE, rng)]
        parts += [self.candidates.neighbours([int(v) for v in p]) for p in (*best, *self._promising[:1])]
        rows = unique_rows(np.vstack(parts))
        rows = rows[free_mask(rows, observations.taken)]
        return rows, self.predict(rows)


def _usable(source: SourceData, quantity: str | None, space: ConfigurationSpace) -> bool:
    try:
        matched_source(source, quantity, space.options)
    except TunerError:
        return False
    return True


class StudySampler(ConfigurationSampler):
    """The base of the study's samplers: each suggests what its model, `score`, holds for the best.

    Ties are broken by what the sources hold for better, then by the seed, so that configurations that differ only
    in options that no source knows are explored. Where a trial broke a constraint or failed, candidates that
    are expected to do so come last. Several sources are weighed by the square of Spearman's correlation
    between their predictions and the target's trials (equally before the third); without any usable source
    the suggestion is random.

    Args:
        space: The configuration space, None to infer it from the study.
        sources: Measurements of other environments.
        learner: Performance model (`tuner.models`) of the sources.
        metric: What is minimised, as the sources call it ("latency"); None takes each one's first metric.
        seed: Of everything random.
        start_up: Trials before `score` decides: the sources' best, then random ones.
        knowledge: Made of the same space and sources before, to save the time.
    """

    start_up_default = START_UP

    def __init__(
        self,
        space: ConfigurationSpace | None = None,
        sources: Sequence[SourceData] = (),
        learner: str = Settings.learner,
        metric: str | None = None,
        seed: int | None = None,
        *,
        start_up: int | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        super().__init__(space, seed=seed)
        self._sources, self._learner, self._metric = tuple(sources), learner, metric
        self._start_up = self.start_up_default if start_up is None else start_up
        self._knowledge = knowledge
        if knowledge is not None:
            self._candidates = knowledge.candidates

    def score(self, knowledge: Knowledge, rows: Indices, predicted: Floats, told: Told) -> Floats:
        """Return (n,) what the strategy expects at `rows`, the least being the best. By default the sources' word.

        Args:
            knowledge: The sources' models.
            rows: (n, options) level indices.
            predicted: (sources, n) the sources' predictions there.
            told: What the trials say.
        """
        return knowledge.mixed(predicted, told.agreement)

    def suggest(
        self, candidates: Candidates, observations: Observations, rng: np.random.Generator
    ) -> Sequence[int] | None:
        """Return the next configuration; None where nothing is left, or no source speaks."""
        knowledge = self.knowledge(candidates)
        rows, predicted = knowledge.free(observations, rng)
        if not len(rows) or not knowledge.models:
            return None
        told = Told(knowledge, observations)
        self.belief = self.believed(knowledge, told)
        starting = len(observations.taken) < self._start_up
        if starting and knowledge.holds_foremost(observations.taken):
            return as_row(rows[int(rng.integers(len(rows)))])
        sources = knowledge.mixed(predicted, told.agreement)
        asleep = starting or not len(observations.values)
        scores = sources if asleep else self.score(knowledge, rows, predicted, told)
        broken = expected_violation(knowledge.design, rows, observations)
        return as_row(rows[first_of(rng, scores, sources, broken)])

    def knowledge(self, candidates: Candidates) -> Knowledge:
        """Return the sources' models over `candidates`, made at the first call."""
        if self._knowledge is None or self._knowledge.candidates is not candidates:
            self._knowledge = self.make_knowledge(candidates)
        return self._knowledge

    def make_knowledge(self, candidates: Candidates) -> Knowledge:
        """Return new knowledge; its seed does not change between a session's suggestions."""
        return Knowledge(candidates, self._sources, self._metric, self._learner, self._seed or 0)

    def believed(self, knowledge: Knowledge, told: Told) -> Belief:
        """Return the rank agreement of each source with the trials, 0 where it misleads."""
        names = [m.name for m in knowledge.models]
        return Belief({n: float(max(0.0, a)) for n, a in zip(names, told.agreement, strict=True)})


def as_row(row: Indices) -> tuple[int, ...]:
    """Return level indices as `ConfigurationSampler.suggest` returns them."""
    return tuple(int(v) for v in row)


def first_of(rng: np.random.Generator, scores: Floats, seconds: Floats, violations: Floats | None) -> int:
    """Return the position of the least: violation first, then score, then the second score, then chance."""
    keys = [rng.random(len(scores)), seconds, scores]
    if violations is not None:
        keys.append(violations)
    return int(np.lexsort(keys)[0])


class SourcesModel(ABC):
    """A `TargetModel` out of the sources' predictions."""

    def __init__(self, knowledge: Knowledge, configurations: Sequence[Configuration], values: Floats) -> None:
        self._knowledge = knowledge
        self._at = knowledge.predict(self._indices(configurations))
        self._values = values
        self._weights = source_weights(rank_agreement(self._at, values))

    def _indices(self, configurations: Sequence[Configuration]) -> Indices:
        space = self._knowledge.candidates.space
        rows = [space.indices(c) for c in configurations]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(space.options))

    def predict(self, configurations: Sequence[Configuration]) -> Sequence[float]:
        """Return one value per configuration, in the objective's unit."""
        predicted = self.shifted(self._knowledge.predict(self._indices(configurations)))
        return [float(v) for v in above_floor(predicted, self._values)]

    @abstractmethod
    def shifted(self, predicted: Floats) -> Floats:
        """Return the (n,) values of the target from (sources, n) predictions."""


class StudyStrategy(ABC):
    """The base of the study's strategies. Subclasses name their sampler and make the target's model."""

    name: str
    summary: str
    needs_source = True

    def __init__(self) -> None:
        self._held: tuple[tuple[object, ...], Knowledge] | None = None

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
        new_learner(context.settings.learner, 0)

    def check_unit(  # noqa: B027 - most accept any
        self, source: SourceData, measured: Metric, wanted: Metric
    ) -> None:
        """Accept any unit: of a source only the shape is used. (`dm` refuses.)"""

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        """Return no configurations: the sampler makes the first suggestions too."""
        return ()

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the sampler; the sources' models are made once for all suggestions of a session."""
        knowledge = self.knowledge(context, context.settings.learner, context.settings.seed)
        return self.make_sampler(context, knowledge)

    @abstractmethod
    def make_sampler(self, context: StrategyContext, knowledge: Knowledge) -> BaseSampler:
        """Return the sampler for one suggestion."""

    def make_knowledge(self, context: StrategyContext, learner: str, seed: int) -> Knowledge:
        """Return the sources' models over the context's space."""
        quantity = context.objective.metric.quantity
        return Knowledge(Candidates(context.space), context.sources, quantity, learner, seed)

    def knowledge(self, context: StrategyContext, learner: str, seed: int) -> Knowledge:
        """Return what was made before for the same space, sources, quantity, learner and seed, else make it."""
        key = (context.space, context.sources, context.objective.metric.quantity, learner, seed)
        if self._held is None or not _same(self._held[0], key):
            self._held = key, self.make_knowledge(context, learner, seed)
        return self._held[1]


def _same(held: Sequence[object], key: Sequence[object]) -> bool:
    """Return whether two keys are equal; spaces and sources by identity, for they are large."""
    return all(a is b for a, b in zip(held[:2], key[:2], strict=True)) and held[2:] == key[2:]


def start_up_of(context: StrategyContext) -> int:
    """Return how many trials come before a model decides: a quarter of the budget, at most 4."""
    return START_UP if context.budget_trials is None else max(1, min(START_UP, context.budget_trials // 4))


def random_design(context: StrategyContext, count: int) -> Sequence[Configuration]:
    """Return `count` random configurations, as the study measures for its model shifts; fewer in a small space."""
    rng = np.random.default_rng(context.seed)
    rows = Candidates(context.space).draw(count, rng)
    return [context.space.from_indices(as_row(r)) for r in rows]
