"""The scale on which a mixture learns values: their logarithm where they have one sign, else a standardised one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuner.models.estimator import LogResponse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Response:
    """The response of (n,) values, n >= 1.

    The logarithm where all are positive (or all negative: a maximised study with its sign turned), else the values
    at half of their standard deviation, which is the size that the prior expects of a log response.

    Attributes:
        values: (n,) the response.
        slope: (n,) its derivative by the relative value.
        positive: Whether it is the logarithm of the values as they are.
    """

    def __init__(self, values: Floats) -> None:
        self.positive = bool(np.all(values > 0))
        self._sign = 1.0 if self.positive else -1.0
        self._log = self.positive or bool(np.all(values < 0))
        self._centre, self._scale = float(values.mean()), 2.0 * (float(values.std()) or 1.0)
        if self._log:
            self.values, self.slope = self._sign * np.log(self._sign * values), np.ones(len(values))
        else:
            self.values, self.slope = (values - self._centre) / self._scale, np.abs(values) / self._scale

    def back(self, response: Floats, deviation: Floats) -> tuple[Floats, Floats]:
        """Return (m,) values, the median of the mixture, and their standard deviations, in the values' unit."""
        if not self._log:
            return self._centre + self._scale * response, self._scale * deviation
        values, deviation = LogResponse(True).back(self._sign * response, deviation)
        return self._sign * values, deviation
