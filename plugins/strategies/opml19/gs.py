"""Guided sampling: a source's influential options and interactions decide what is measured in the target."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models import create
from tuner.models.target import LearnedModel
from tuner.ports import Belief, SourceData, StrategyContext, TargetModel
from tuner.search.candidates import Candidates, free_mask, level_indices, unique_rows
from tuner.search.design import balanced_design
from tuner.search.observations import Observations
from tuner.space import Configuration, ConfigurationSpace

from .base import Evidence, SourceModels, StudySampler, StudyStrategy
from .factorial import factorial, predicted_best, source_terms, spread_out

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


class GuidedModels(SourceModels):
    """The sources' models, their terms, and the design that these call for."""

    def __init__(
        self, candidates: Candidates, sources: Sequence[SourceData], quantity: str | None, learner: str, seed: int
    ) -> None:
        super().__init__(candidates, sources, quantity, learner, seed)
        self.terms = tuple(source_terms(m.matching, m.values) for m in self.models)
        rng = np.random.default_rng(seed)
        self._factorials = [
            factorial(t, candidates, level_indices(predicted_best(t, m.encoder, candidates, rng)), rng)
            for t, m in zip(self.terms, self.models, strict=True)
        ]

    def plan(self, count: int) -> Indices:
        """Return at most `count` configurations to measure, the sources taking turns.

        Without a source a balanced design takes the place of the factorial. A smaller plan is the beginning of a
        larger one, so that a resumed session finds its place.
        """
        if not self.models:
            return balanced_design(self.candidates, count, np.random.default_rng(self.seed))
        parts = [
            spread_out(rows, count, t, self.candidates) for rows, t in zip(self._factorials, self.terms, strict=True)
        ]
        turns = chain.from_iterable(zip_longest(*(list(p) for p in parts)))
        return unique_rows(np.stack([r for r in turns if r is not None]))[:count]


class GuidedSampler(StudySampler[GuidedModels]):
    """Suggests the points of the design, then the best by a model learned from the target's trials.

    The design is chosen from the union of the factorials over the levels of each term's options (see `factorial`).
    One later suggestion in ten is random.

    Args:
        space: See `StudySampler`, as for `settings`.
        designed: Points of the design.
    """

    predictor_class = GuidedModels
    start_up_default = 0

    def __init__(
        self, space: ConfigurationSpace | None = None, *, designed: int = MOST_DESIGNED, **settings: Any
    ) -> None:
        super().__init__(space, **settings)
        self._designed = designed
        self._plan: tuple[GuidedModels, Indices] | None = None

    def suggest(
        self, candidates: Candidates, observations: Observations, rng: np.random.Generator
    ) -> Sequence[int] | None:
        """Return the next point of the design, or of the learned model; None where nothing is left."""
        models = self.predictor(candidates)
        if self._plan is None or self._plan[0] is not models:
            self._plan = models, models.plan(self._designed)
        left = self._plan[1][free_mask(self._plan[1], observations.taken)]
        if len(left):
            self.belief = self.believed(models, Evidence(models, observations))
            return level_indices(left[0])
        if rng.random() < EXPLORED:
            return None
        return super().suggest(candidates, observations, rng)

    def score(self, models: GuidedModels, rows: Indices, predicted: Floats, evidence: Evidence) -> Floats:
        """Return (n,) the predictions of a learner fitted to the trials alone."""
        trials = evidence.observations
        if len(trials.values) < _LEAST_TRIALS:
            return super().score(models, rows, predicted, evidence)
        model = create(models.learner, models.seed)
        model.fit(models.encoder.encode(trials.indices), trials.values)
        return np.asarray(model.predict(models.encoder.encode(rows)), dtype=float)

    def believed(self, models: GuidedModels, evidence: Evidence) -> Belief:
        """Return the sources' rank agreements, and the terms of the one that agrees best."""
        belief = super().believed(models, evidence)
        if not models.terms:
            return belief
        return Belief(belief.sources, models.terms[int(np.argmax(evidence.agreement))].by_options())


class GuidedSamplingStrategy(StudyStrategy[GuidedModels]):
    """The study's guided sampling (GS): a source guides what is measured, and a new model is learned from that.

    Reference: Iqbal, Kotthoff, Jamshidi, 'Transfer Learning for Performance Modeling of Deep Neural Network
    Systems', OpML'19.
    """

    name = "gs"
    summary = "guided sampling: a source's influential options and interactions are measured first"
    predictor_class = GuidedModels

    def make_sampler(self, context: StrategyContext, models: GuidedModels) -> BaseSampler:
        """Return the sampler."""
        trials = context.budget_trials or ASSUMED_TRIALS
        designed = max(1, min(MOST_DESIGNED, (trials - 1) // 2))
        return GuidedSampler(context.space, seed=context.seed, predictor=models, designed=designed)

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return at most `count` points of the design; all of it for a count beyond its size."""
        plan = self.predictor(context, learner, context.seed).plan(count)
        return [context.space.from_indices(level_indices(r)) for r in plan]

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return `learner`, fitted to the measurements of the target."""
        return LearnedModel(context.space.options, create(learner, context.seed), configurations, values)
