"""A configuration space with its sources, prepared once: axes, kernels, guides, prior, features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.objective import find_metric
from tuner.ports import SourceData
from tuner.search.candidates import Candidates, free_mask, unique_rows
from tuner.search.coordinates import axis
from tuner.space import ConfigurationSpace

from .guide import make_guide
from .kernels import LevelKernels
from .prior import LONG, SHORT, Features, Guide, Prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Spaces (and tables) up to this size are weighed whole at each suggestion.
WHOLE_UP_TO = 4_096
#: Of larger ones: so many of the sources' best, drawn by chance, and best measured ones to look around.
OF_SOURCE, BY_CHANCE, AROUND = 300, 700, 3


class Landscape:
    """What the strategy knows before the first trial.

    Args:
        candidates: The space.
        sources: Any number of them; those that share nothing with the space are left out.
        quantity: What is minimised ("energy"), looked up among each source's metrics; None takes the first.
    """

    def __init__(self, candidates: Candidates, sources: Sequence[SourceData], quantity: str | None) -> None:
        self.candidates = candidates
        options = candidates.space.options
        axes = [axis(o) for o in options]
        guides: list[Guide] = []
        for source in sources:
            metric = source.metrics[0] if quantity is None else find_metric(quantity, source.metrics)
            guide = make_guide(source, metric.name, candidates) if metric is not None else None
            if guide is not None:
                guides.append(guide)
        kernels = LevelKernels(axes, SHORT), LevelKernels(axes, LONG)
        self.prior = Prior(kernels, guides, axes)
        self._kernels, self._axes = kernels, axes
        self.whole: Features | None = None
        self._position: dict[bytes, int] = {}
        self.promising = self._promising()

    def free_prior(self) -> Prior:
        """Return a prior without sources, for constraints and failures."""
        return Prior(self._kernels, (), self._axes)

    @property
    def guides(self) -> tuple[Guide, ...]:
        """The sources that say something."""
        return self.prior.guides

    def _promising(self) -> Indices:
        """Return the configurations that the sources hold for the best, best first; sets `whole`."""
        every = self.candidates.all
        if every is not None and len(every) <= WHOLE_UP_TO:
            self.whole = self.prior.features(every)
            self._position = {row.tobytes(): i for i, row in enumerate(every)}
        if not self.guides:
            return np.zeros((0, len(self.candidates.levels)), dtype=np.int64)
        pool = every if every is not None else self._searched()
        return pool[np.argsort(self.expected(pool), kind="stable")[:OF_SOURCE]]

    def _searched(self) -> Indices:
        rng = np.random.default_rng(0)
        pool = self.candidates.draw(2 * BY_CHANCE, rng)
        return unique_rows(np.vstack([pool, self.candidates.descended(pool, self.expected)]))

    def expected(self, indices: Indices) -> Floats:
        """Return the (n,) prior mean of the response, averaged over the sources by their signal."""
        if self.whole is not None and indices is self.candidates.all:
            means = self.whole.means
        else:
            means = np.stack([g.surface(indices)[0] for g in self.guides])
        weights = np.array([max(g.signal, 1e-3) for g in self.guides])
        return np.asarray(weights @ means / weights.sum())

    def features(self, indices: Indices) -> Features:
        """Return the prior's features of (n, options) configurations."""
        rows = np.ascontiguousarray(indices, dtype=np.int64)
        found = [self._position.get(row.tobytes(), -1) for row in rows]
        if self.whole is None or -1 in found:
            return self.prior.features(rows)
        return self.whole.take(np.array(found, dtype=np.int64))

    def pool(self, measured: Indices, values: Floats, taken: Indices, rng: np.random.Generator) -> Features:
        """Return the features of what the next suggestion is chosen from; nothing of it is taken."""
        if self.whole is not None:
            free = np.flatnonzero(free_mask(self.whole.indices, taken))
            return self.whole.take(free)
        best = measured[np.argsort(values, kind="stable")[:AROUND]]
        parts = [self.promising, self.candidates.draw(BY_CHANCE, rng)]
        parts += [self._near(p) for p in best]
        rows = unique_rows(np.vstack([p for p in parts if len(p)]))
        return self.prior.features(rows[free_mask(rows, taken)])

    def _near(self, point: Indices) -> Indices:
        """Return the configurations that differ from `point` in one option (in a table, those it has)."""
        every = self.candidates.all
        if every is None:
            return self.candidates.neighbours([int(v) for v in point])
        return np.asarray(every[(every != point).sum(axis=1) <= 1])


def landscape_of(space: ConfigurationSpace, sources: Sequence[SourceData], quantity: str | None) -> Landscape:
    """Return the landscape of a space."""
    return Landscape(Candidates(space), sources, quantity)
