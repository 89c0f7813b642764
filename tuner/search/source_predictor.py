"""The base of strategies that learn from sources: what these predict for a target's configurations, prepared once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from tuner.ports import SourceData, StrategyContext
from tuner.search.candidates import Candidates, free_mask, unique_rows
from tuner.search.configuration_sampler import ConfigurationSampler
from tuner.search.observations import Observations
from tuner.space import Configuration, ConfigurationSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Spaces (and tables) up to this size are considered whole at each suggestion.
WHOLE_UP_TO = 4_096
#: Of larger ones: so many that the sources predict to be best, so many random ones, the neighbours of the best trials.
OF_SOURCE, BY_CHANCE, AROUND = 300, 700, 3


class SourcePredictor(ABC):
    """What sources predict for the configurations of a target. Depends on no trial: made once a session.

    Attributes:
        candidates: The target's configurations.
        names: The sources that are of use here, in their order; each has something in common with the space.
    """

    names: tuple[str, ...]

    def __init__(self, candidates: Candidates, seed: int = 0) -> None:
        self.candidates = candidates
        self._seed = seed

    @abstractmethod
    def expected(self, rows: Indices) -> Floats:
        """Return (n,) what the sources predict for (n, options) level indices, without a unit; the least is best.

        Called only where there is a source.
        """

    @cached_property
    def promising(self) -> Indices:
        """The configurations that the sources predict to be best, best first; none without a source."""
        if not self.names:
            return np.zeros((0, len(self.candidates.levels)), dtype=np.int64)
        pool = self.candidates.all
        if pool is None:
            drawn = self.candidates.draw(2 * BY_CHANCE, np.random.default_rng(self._seed))
            pool = self.candidates.descended(drawn, self.expected)
        return pool[np.argsort(self.expected(pool), kind="stable")[:OF_SOURCE]]

    def pool(self, observations: Observations, rng: np.random.Generator) -> Indices:
        """Return the (n, options) configurations that the next suggestion is chosen from; none of them is taken."""
        rows = self.candidates.all
        if rows is None or len(rows) > WHOLE_UP_TO:
            best = observations.indices[np.argsort(observations.values, kind="stable")[:AROUND]]
            near = [self.candidates.neighbours(point) for point in best]
            rows = unique_rows(np.vstack([self.promising, self.candidates.draw(BY_CHANCE, rng), *near]))
        return rows[free_mask(rows, observations.taken)]


P = TypeVar("P", bound=SourcePredictor)


class SourceSampler(ConfigurationSampler, Generic[P]):
    """A sampler of whole configurations that asks sources.

    Args:
        space: The configuration space, None to infer it from the study.
        sources: Measurements of other environments.
        seed: Of everything random.
        predictor: Made of the same space and sources before, to save the time.
    """

    def __init__(
        self,
        space: ConfigurationSpace | None = None,
        sources: Sequence[SourceData] = (),
        seed: int | None = None,
        predictor: P | None = None,
    ) -> None:
        super().__init__(space, seed=seed)
        self._sources, self._predictor = tuple(sources), predictor
        if predictor is not None:
            self._candidates = predictor.candidates

    def predictor(self, candidates: Candidates) -> P:
        """Return what the sources predict for `candidates`, prepared at the first call."""
        if self._predictor is None or self._predictor.candidates is not candidates:
            self._predictor = self.make_predictor(candidates)
        return self._predictor

    @abstractmethod
    def make_predictor(self, candidates: Candidates) -> P:
        """Return a new predictor; its seed does not change between a session's suggestions."""


class SourceStrategy(ABC, Generic[P]):
    """A strategy that asks sources. A subclass makes the predictor, which is kept for all suggestions of a session."""

    name: str
    summary: str

    def __init__(self) -> None:
        self._kept: tuple[StrategyContext, str, int, P] | None = None

    def check(self, context: StrategyContext) -> None:
        """Accept everything: a source that has nothing in common with the space is left out."""

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        """Return no configurations: the sampler makes the first suggestions too."""
        return ()

    def predictor(self, context: StrategyContext, learner: str = "", seed: int = 0) -> P:
        """Return what was made before for the same space, sources, objective, learner and seed, else make it."""
        kept = self._kept
        if (
            kept is None
            or kept[0].space is not context.space  # by identity: spaces and sources are large
            or kept[0].sources is not context.sources
            or kept[0].objective.metric.quantity != context.objective.metric.quantity
            or kept[1:3] != (learner, seed)
        ):
            kept = self._kept = context, learner, seed, self.make_predictor(context, learner, seed)
        return kept[3]

    @abstractmethod
    def make_predictor(self, context: StrategyContext, learner: str, seed: int) -> P:
        """Return a new predictor over the context's space."""
