"""What the strategy `transfer` knows before the first trial: the prior over a space, prepared once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.objective import find_metric
from tuner.ports import SourceData
from tuner.search.candidates import Candidates
from tuner.search.coordinates import axis
from tuner.search.source_predictor import WHOLE_UP_TO, SourcePredictor

from .feasibility import Feasibility
from .guide import make_guide
from .prior import Features, Prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]


class TransferPredictor(SourcePredictor):
    """The prior of the strategy `transfer` over a target's candidates.

    Args:
        candidates: The space.
        sources: Any number of them; those that share nothing with the space are left out.
        quantity: What is minimised ("energy"), looked up among each source's metrics; None takes the first.
    """

    def __init__(self, candidates: Candidates, sources: Sequence[SourceData], quantity: str | None) -> None:
        super().__init__(candidates)
        axes = [axis(o) for o in candidates.space.options]
        metrics = [s.metrics[0] if quantity is None else find_metric(quantity, s.metrics) for s in sources]
        found = [make_guide(s, m.name, candidates) for s, m in zip(sources, metrics, strict=True) if m is not None]
        self.prior = Prior(axes, [guide for guide in found if guide is not None])
        self.names = tuple(guide.name for guide in self.prior.guides)
        self.feasibility = Feasibility(axes)
        every = candidates.all
        self._whole = None if every is None or len(every) > WHOLE_UP_TO else self.prior.features(every)
        self._position = {} if self._whole is None else {row.tobytes(): i for i, row in enumerate(self._whole.indices)}

    def expected(self, rows: Indices) -> Floats:
        """Return the (n,) prior mean of the response, averaged over the sources by their signal."""
        weights = np.array([max(g.signal, 1e-3) for g in self.prior.guides])
        return np.asarray(weights @ self.features(rows).means / weights.sum())

    def features(self, indices: Indices) -> Features:
        """Return the prior's features of (n, options) configurations."""
        rows = np.ascontiguousarray(indices, dtype=np.int64)
        if self._whole is not None:
            found = [self._position.get(row.tobytes(), -1) for row in rows]
            if -1 not in found:
                return self._whole.take(np.array(found, dtype=np.int64))
        return self.prior.features(rows)
