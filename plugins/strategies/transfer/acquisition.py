"""What to measure next, from the posterior of a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .posterior import Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def expected_improvement(prediction: Prediction, incumbents: Floats) -> Floats:
    """Return the (n,) expected improvement, averaged over members (Jones, Schonlau and Welch 1998).

    Args:
        prediction: At the candidates.
        incumbents: (members,) what each member believes the best measured configuration to be.
    """
    from scipy.special import ndtr

    u = (incumbents[:, None] - prediction.means) / prediction.deviations
    density = np.exp(-0.5 * u * u) / np.sqrt(2.0 * np.pi)
    improvement = prediction.deviations * (u * ndtr(u) + density)
    return np.asarray(prediction.weights @ np.maximum(improvement, 0.0))


def probability_below(prediction: Prediction, bound: float) -> Floats:
    """Return the (n,) probability that the response is at most `bound`."""
    from scipy.special import ndtr

    u = (bound - prediction.means) / prediction.deviations
    return np.asarray(prediction.weights @ ndtr(u))
