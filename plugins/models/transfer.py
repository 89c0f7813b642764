"""The mixture of Gaussian processes of the strategy `transfer`, as a performance model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.estimator import Estimator, finite_array
from tuner.objective import Metric
from tuner.ports import SourceData
from tuner.search.candidates import Candidates
from tuner.search.coordinates import axis
from tuner.space import ConfigurationSpace, Option

from ..strategies.transfer.guide import make_guide
from ..strategies.transfer.posterior import Posterior
from ..strategies.transfer.prior import Prior
from ..strategies.transfer.response import Response

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_METRIC = Metric("y", "y", "")


class TransferModel(Estimator):
    """A mixture of Gaussian processes around a source's surface, and around none (see `strategies.transfer.prior`).

    Learns most from few rows (tens); the cost grows with the cube of their number.

    Args:
        source_X: (m, columns) design of a source, in the same columns; None for no source.
        source_y: (m,) its values, in any unit.
    """

    name = "transfer"
    summary = "mixture of Gaussian processes around a source, or none"
    has_std = True

    def __init__(self, source_X: Any = None, source_y: Any = None) -> None:  # noqa: N803 - scikit-learn's name
        self.source_X = source_X
        self.source_y = source_y

    def _learn(self, design: Floats, values: Floats) -> None:
        self.rows_, self.values_ = design.copy(), values.copy()

    def _estimate(self, design: Floats) -> tuple[Floats, Floats]:
        source = None if self.source_X is None else np.asarray(self.source_X, dtype=float)
        known = [self.rows_, design] + ([] if source is None else [source])
        # A Gaussian process needs no grid, but the levels that occur make its tables small.
        levels = [np.unique(np.concatenate([part[:, i] for part in known])) for i in range(design.shape[1])]
        options = tuple(Option(f"x{i}", tuple(float(v) for v in level)) for i, level in enumerate(levels))
        rows, at = (_indices(part, levels) for part in (self.rows_, design))
        prior = self._prior(options, np.vstack([rows, at]), source)
        response = Response(self.values_)
        prediction = Posterior(prior, prior.features(rows), response.values).predict(prior.features(at))
        return response.back(prediction.mean, prediction.deviation)

    def _prior(self, options: tuple[Option, ...], rows: Any, source: Floats | None) -> Prior:
        axes = [axis(o) for o in options]
        guides = []
        if source is not None:
            space = ConfigurationSpace(options, tuple(tuple(int(v) for v in r) for r in np.unique(rows, axis=0)))
            configurations = tuple({f"x{i}": float(v) for i, v in enumerate(r)} for r in source)
            values = {"y": tuple(float(v) for v in np.asarray(self.source_y, dtype=float))}
            data = SourceData("source", options, configurations, values, (_METRIC,))
            guide = make_guide(data, "y", Candidates(space))
            guides = [] if guide is None else [guide]
        return Prior(axes, guides)

    def state(self) -> dict[str, Any]:
        """Return the measurements: the mixture is conditioned on them whenever it predicts."""
        return {"rows": self.rows_.tolist(), "values": self.values_.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take the measurements over."""
        self.rows_, self.values_ = finite_array(state["rows"], 2), finite_array(state["values"], 1)
        if self.rows_.shape != (len(self.values_), self.n_features_in_) or not len(self.values_):
            raise ValueError("the measurements do not fit together")
        if self.source_X is None:
            return
        source = finite_array(self.source_X, 2)
        if source.shape != (len(finite_array(self.source_y, 1)), self.n_features_in_):
            raise ValueError("the source's measurements do not fit together")


def _indices(design: Floats, levels: list[Floats]) -> NDArray[np.int64]:
    columns = [np.searchsorted(level, design[:, i]) for i, level in enumerate(levels)]
    return np.stack(columns, axis=1).astype(np.int64)
