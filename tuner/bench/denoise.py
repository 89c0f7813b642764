"""The denoised table: a table's values without noise, estimated from neighbouring rows.

Smoothing-spline analysis of variance (Wahba 1990; Gu 2013) of the log values over all rows: each option has the
reproducing kernel of the linear smoothing spline over its level ranks (of a categorical option: equal distances),
centred, and the model is a sum of main effects and of interactions of up to four options (products of the
options' kernels). How much each option may bend, and how strongly all is smoothed, is what gives the least
leave-one-out residual (in closed form), found coordinate by coordinate. No strategy uses this family; and no
strategy sees the whole table, which this does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.bench.cases import target_table
from tuner.space import ConfigurationSpace, Option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: A leave-one-out residual above this (root mean square of logs) is more than noise: the rows are too few, or too
#: rough, for the smoother. The raw values are then used.
WORST_RESIDUAL = 0.06
#: Solved by an eigendecomposition of all rows; above this many it would take minutes and the raw values are used.
MOST_ROWS = 2500
#: Up to this many options each gets a bending of its own; above, all share one.
MOST_TUNED_OPTIONS = 16
MOST_FREEDOM = 0.8
MOST_INTERACTING = 4
_BENDINGS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_FACTORS = (0.25, 0.5, 2.0, 4.0)


@dataclass(frozen=True)
class Denoised:
    """A table without its noise.

    Attributes:
        values: One per row, in the objective's unit; the raw values where smoothing does not hold.
        smoothed: Whether they were smoothed.
        residual: Leave-one-out residual of the logs, root mean square; nan where it was not computed.
        typical_residual: The same, robust against few outliers: median of the magnitudes over 0.6745.
    """

    values: tuple[float, ...]
    smoothed: bool
    residual: float
    typical_residual: float


@dataclass(frozen=True)
class _Fit:
    residual: float
    typical: float
    fitted: NDArray[np.float64] | None


@lru_cache(maxsize=64)
def denoised(path: Path, objective: str) -> Denoised:
    """Return the denoised values of a target's rows, once per process."""
    target = target_table(path, objective)
    return denoise(target.space, target.values)


def denoise(space: ConfigurationSpace, values: Sequence[float]) -> Denoised:
    """Return `values` (one per row of `space`, positive) without noise.

    Raises:
        ValueError: the space has no rows, or not as many as there are values.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    rows = space.rows
    if rows is None or len(rows) != len(values):
        raise ValueError("denoise needs a space of rows, and one value for each")
    raw = tuple(map(float, values))
    options = [(j, o) for j, o in enumerate(space.options) if len({r[j] for r in rows}) > 1]
    if not options or not 10 <= len(rows) <= MOST_ROWS:
        return Denoised(raw, False, float("nan"), float("nan"))
    indices = np.array(rows)
    kernels = [_kernel(o, indices[:, j]) for j, o in options]
    with threadpool_limits(limits=1):  # small matrices: threads cost more than they bring
        fit = _best_fit(kernels, np.log(raw))
    if fit.fitted is None or fit.residual > WORST_RESIDUAL:
        return Denoised(raw, False, fit.residual, fit.typical)
    return Denoised(tuple(float(v) for v in np.exp(fit.fitted)), True, fit.residual, fit.typical)


def _kernel(option: Option, levels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the (n, n) centred kernel of one option, of mean diagonal 1 over its levels."""
    import numpy as np

    count = len(option.values) + 1  # the last state: inactive
    if option.kind == "ordinal":
        ranks = np.arange(count) / max(1, count - 2)
        plain = np.minimum.outer(ranks, ranks)
        plain[-1, :] = plain[:, -1] = 0.0
        plain[-1, -1] = 1.0
    else:
        plain = np.eye(count)
    used = np.zeros(count)
    used[np.unique(levels)] = 1.0  # level -1 is the last state
    centre = np.diag(used) - np.outer(used, used) / used.sum()
    centred = centre @ plain @ centre
    scaled = centred * (used.sum() / np.trace(centred))
    result: NDArray[np.float64] = scaled[np.ix_(levels, levels)]
    return result


def _interactions(kernels: Sequence[NDArray[np.float64]], bending: Sequence[float]) -> NDArray[np.float64]:
    """Return the sum of all products of one to four different kernels (elementary symmetric polynomials)."""
    import numpy as np

    sums = [np.ones_like(kernels[0]), *(np.zeros_like(kernels[0]) for _ in range(MOST_INTERACTING))]
    for kernel, scale in zip(kernels, bending, strict=True):
        own = scale * kernel
        for order in range(MOST_INTERACTING, 0, -1):
            sums[order] += own * sums[order - 1]
    total: NDArray[np.float64] = np.sum(sums[1:], axis=0)
    return total


def _best_fit(kernels: Sequence[NDArray[np.float64]], y: NDArray[np.float64]) -> _Fit:
    shared = [([b] * len(kernels), _fit(_interactions(kernels, [b] * len(kernels)), y)) for b in _BENDINGS]
    bending, best = min(shared, key=lambda found: found[1].residual)
    if len(kernels) > MOST_TUNED_OPTIONS:
        return best
    for _ in range(2):
        for j in range(len(kernels)):
            start = bending[j]
            for factor in _FACTORS:
                tried = [*bending[:j], start * factor, *bending[j + 1 :]]
                fit = _fit(_interactions(kernels, tried), y)
                if fit.residual < best.residual:
                    bending, best = tried, fit
    return best


def _fit(kernel: NDArray[np.float64], y: NDArray[np.float64]) -> _Fit:
    """Return the kernel ridge regression whose penalty has the least leave-one-out residual."""
    import numpy as np

    n = len(y)
    centred_y = y - y.mean()
    mean = kernel.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(kernel - mean - mean[:, None] + kernel.mean())
    eigenvalues = np.clip(eigenvalues, 0.0, None)
    projected, squares = vectors.T @ centred_y, vectors**2
    best = _Fit(float("inf"), float("inf"), None)
    for penalty in eigenvalues.mean() * 10.0 ** np.arange(-4.0, 2.5, 0.5):
        shrink = eigenvalues / (eigenvalues + penalty)
        leverage = 1.0 / n + squares @ shrink
        if leverage.sum() > MOST_FREEDOM * n:
            continue
        fitted = vectors @ (shrink * projected)
        left_out = (centred_y - fitted) / (1.0 - leverage)
        residual = float(np.sqrt(np.mean(left_out**2)))
        if residual < best.residual:
            typical = float(np.median(np.abs(left_out)) / 0.6745)
            best = _Fit(residual, typical, fitted + y.mean())
    return best
