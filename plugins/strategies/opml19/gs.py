"""Guided sampling: a source's influential options and interactions say what is measured in the target."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.encoding import encode
from tuner.ports import Belief, SourceData, StrategyContext, TargetModel
from tuner.search.candidates import Candidates, free_mask, unique_rows
from tuner.search.design import balanced_design
from tuner.search.observations import Observations
from tuner.space import Configuration, ConfigurationSpace

from .base import Knowledge, StudySampler, StudyStrategy, Told, as_row
from .factorial import Terms, factorial, predicted_best, source_terms, thinned
from .source_models import above_floor, new_learner

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Points of the design before the learned model decides: half of the trials, at most so many.
MOST_DESIGNED, ASSUMED_TRIALS = 20, 40
#: Share of the later suggestions that are random: a tree learned from few trials believes too much.
EXPLORED = 0.1
#: Trials without which nothing can be learned.
_LEAST_TRIALS = 2


class GuidedKnowledge(Knowledge):
    """The sources' models, their terms, and the design that these call for."""

    def __init__(
        self, candidates: Candidates, sources: Sequence[SourceData], quantity: str | None, learner: str, seed: int
    ) -> None:
        super().__init__(candidates, sources, quantity, learner, seed)
        self.terms = tuple(source_terms(m.matching, m.values) for m in self.models)
        rng = np.random.default_rng(seed)
        self._factorials = [
            factorial(t, candidates, as_row(predicted_best(t, m.design, candidates, rng)), rng)
            for t, m in zip(self.terms, self.models, strict=True)
        ]

    def plan(self, count: int) -> Indices:
        """Return at most `count` configurations to measure, the sources taking turns.

        Without a source a balanced design takes the place of the factorial. A smaller plan is the beginning of a
        larger one, so that a resumed session finds its place.
        """
        if not self.models:
            return balanced_design(self.candidates, count, np.random.default_rng(self.seed))
        parts = [thinned(rows, count, t, self.candidates) for rows, t in zip(self._factorials, self.terms, strict=True)]
        turns = chain.from_iterable(zip_longest(*(list(p) for p in parts)))
        return unique_rows(np.stack([r for r in turns if r is not None]))[:count]


class GuidedSampler(StudySampler):
    """Suggests the points of the design, then what a model learned from the target's trials holds for the best.

    The design is thinned from the union of the factorials over the levels of each term's options (see
    `factorial`). One later suggestion in ten is random.

    Args:
        space: See `StudySampler`, as for the other arguments.
        designed: Points of the design.
    """

    def __init__(
        self,
        space: ConfigurationSpace | None = None,
        sources: Sequence[SourceData] = (),
        learner: str = "rt",
        metric: str | None = None,
        seed: int | None = None,
        *,
        designed: int = MOST_DESIGNED,
        knowledge: GuidedKnowledge | None = None,
    ) -> None:
        super().__init__(space, sources, learner, metric, seed, start_up=0, knowledge=knowledge)
        self._designed = designed
        self._plan: tuple[Knowledge, Indices] | None = None

    def make_knowledge(self, candidates: Candidates) -> GuidedKnowledge:
        """Return the sources' models, terms and factorials."""
        return GuidedKnowledge(candidates, self._sources, self._metric, self._learner, self._seed or 0)

    def suggest(
        self, candidates: Candidates, observations: Observations, rng: np.random.Generator
    ) -> Sequence[int] | None:
        """Return the next point of the design, or of the learned model; None where nothing is left."""
        knowledge = self.knowledge(candidates)
        assert isinstance(knowledge, GuidedKnowledge)
        if self._plan is None or self._plan[0] is not knowledge:
            self._plan = knowledge, knowledge.plan(self._designed)
        left = self._plan[1][free_mask(self._plan[1], observations.taken)]
        if len(left):
            self.belief = self.believed(knowledge, Told(knowledge, observations))
            return as_row(left[0])
        if rng.random() < EXPLORED:
            return None
        return super().suggest(candidates, observations, rng)

    def score(self, knowledge: Knowledge, rows: Indices, predicted: Floats, told: Told) -> Floats:
        """Return (n,) the predictions of a learner fitted to the trials alone."""
        trials = told.observations
        if len(trials.values) < _LEAST_TRIALS:
            return super().score(knowledge, rows, predicted, told)
        model = new_learner(knowledge.learner, knowledge.seed)
        model.fit(knowledge.design.encode(trials.indices), trials.values)
        return np.asarray(model.predict(knowledge.design.encode(rows)), dtype=float)

    def believed(self, knowledge: Knowledge, told: Told) -> Belief:
        """Return the sources' rank agreements, and the terms of the one that agrees best."""
        belief = super().believed(knowledge, told)
        assert isinstance(knowledge, GuidedKnowledge)
        if not knowledge.terms:
            return belief
        best = knowledge.terms[int(np.argmax(told.agreement))]
        return Belief(belief.sources, _terms(best))


def _terms(terms: Terms) -> tuple[tuple[tuple[str, ...], float], ...]:
    """Return (options, share) with the shares of one set of options added, the largest first."""
    shares: dict[tuple[str, ...], float] = {}
    for term, share in zip(terms.fit.terms, terms.shares, strict=True):
        shares[terms.options_of(term)] = shares.get(terms.options_of(term), 0.0) + share
    return tuple(sorted(shares.items(), key=lambda item: -item[1]))


class _LearnedModel:
    """A `TargetModel`: a learner on the target's measurements alone."""

    def __init__(
        self, space: ConfigurationSpace, model: Any, configurations: Sequence[Configuration], values: Floats
    ) -> None:
        self._space, self._values = space, values
        self._model = model.fit(encode(space.options, configurations), values)

    def predict(self, configurations: Sequence[Configuration]) -> Sequence[float]:
        """Return one value per configuration, in the objective's unit."""
        predicted = np.asarray(self._model.predict(encode(self._space.options, configurations)), dtype=float)
        return [float(v) for v in above_floor(predicted, self._values)]


class GuidedSamplingStrategy(StudyStrategy):
    """The study's guided sampling (GS): a source guides what is measured, and a new model is learned from that.

    Reference: Iqbal, Kotthoff, Jamshidi, 'Transfer Learning for Performance Modeling of Deep Neural Network
    Systems', OpML'19.
    """

    name = "gs"
    summary = "guided sampling: a source's influential options and interactions are measured first"

    def make_knowledge(self, context: StrategyContext, learner: str, seed: int) -> GuidedKnowledge:
        """Return the sources' models, terms and factorials."""
        quantity = context.objective.metric.quantity
        return GuidedKnowledge(Candidates(context.space), context.sources, quantity, learner, seed)

    def make_sampler(self, context: StrategyContext, knowledge: Knowledge) -> BaseSampler:
        """Return the sampler."""
        assert isinstance(knowledge, GuidedKnowledge)
        trials = context.budget_trials or ASSUMED_TRIALS
        designed = max(1, min(MOST_DESIGNED, (trials - 1) // 2))
        return GuidedSampler(context.space, seed=context.seed, knowledge=knowledge, designed=designed)

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return at most `count` points of the design; all of it for a count beyond its size."""
        knowledge = self.knowledge(context, learner, context.seed)
        assert isinstance(knowledge, GuidedKnowledge)
        return [context.space.from_indices(as_row(r)) for r in knowledge.plan(count)]

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return `learner`, fitted to the measurements of the target."""
        model = new_learner(learner, context.seed)
        return _LearnedModel(context.space, model, configurations, np.asarray(values, dtype=float))
