"""Gaussian process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.estimator import Estimator, LogResponse, finite_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class GaussianProcessModel(Estimator):
    """Gaussian process on the standardised log response: Matérn 5/2 with a length scale per column, and noise.

    Hyperparameters maximise the marginal likelihood. The deviation is that of the mean, without the noise of one
    measurement. Reference: Rasmussen and Williams, 'Gaussian Processes for Machine Learning', 2006.

    Args:
        restarts: Further starts of the search for hyperparameters.
        random_state: Seed of those starts.
    """

    name = "gp"
    summary = "Gaussian process, Matérn 5/2, on the log scale"
    has_std = True

    def __init__(self, restarts: int = 1, random_state: int = 0) -> None:
        self.restarts = restarts
        self.random_state = random_state

    def _learn(self, design: Floats, values: Floats) -> None:
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        self.response_ = LogResponse.of(values)
        z = self.response_.forward(values)
        self.centre_, self.spread_ = float(z.mean()), float(z.std()) or 1.0
        shape = Matern(np.ones(design.shape[1]), (0.05, 100.0), nu=2.5)
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * shape + WhiteKernel(1e-2, (1e-6, 1.0))
        process = GaussianProcessRegressor(
            kernel, alpha=1e-10, n_restarts_optimizer=self.restarts, random_state=self.random_state
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is an answer too
            process.fit(design, (z - self.centre_) / self.spread_)
        fitted = process.kernel_
        self.variance_ = float(fitted.k1.k1.constant_value)
        self.lengths_ = np.broadcast_to(fitted.k1.k2.length_scale, (design.shape[1],)).astype(float)
        self.noise_ = float(fitted.k2.noise_level)
        self.rows_ = design.copy()
        self._condition((z - self.centre_) / self.spread_)

    def _condition(self, z: Floats) -> None:
        covariance = self._covariance(self.rows_, self.rows_)
        covariance[np.diag_indices(len(z))] += self.noise_ + 1e-10
        self.inverse_ = np.linalg.inv(covariance)
        self.z_ = z
        self.alpha_ = self.inverse_ @ z

    def _covariance(self, a: Floats, b: Floats) -> Floats:
        left, right = a / self.lengths_, b / self.lengths_
        squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2.0 * left @ right.T
        r = np.sqrt(5.0 * np.maximum(squared, 0.0))
        return np.asarray(self.variance_ * (1.0 + r + r * r / 3.0) * np.exp(-r))

    def _estimate(self, design: Floats) -> tuple[Floats, Floats]:
        cross = self._covariance(design, self.rows_)
        variance = self.variance_ - np.einsum("ij,ij->i", cross @ self.inverse_, cross)
        deviation = self.spread_ * np.sqrt(np.maximum(variance, 0.0))
        return self.response_.back(self.centre_ + self.spread_ * (cross @ self.alpha_), deviation)

    def state(self) -> dict[str, Any]:
        """Return the data and the hyperparameters."""
        return {
            "log": self.response_.log,
            "centre": self.centre_,
            "spread": self.spread_,
            "variance": self.variance_,
            "lengths": self.lengths_.tolist(),
            "noise": self.noise_,
            "rows": self.rows_.tolist(),
            "z": self.z_.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take data and hyperparameters over, and condition on them again."""
        self.response_ = LogResponse.of_state(state["log"])
        numbers = {k: float(finite_array(state[k], 0)) for k in ("centre", "spread", "variance", "noise")}
        self.centre_, self.spread_ = numbers["centre"], numbers["spread"]
        self.variance_, self.noise_ = numbers["variance"], numbers["noise"]
        self.lengths_, self.rows_ = finite_array(state["lengths"], 1), finite_array(state["rows"], 2)
        z = finite_array(state["z"], 1)
        columns = self.n_features_in_
        if self.rows_.shape != (len(z), columns) or len(self.lengths_) != columns or not len(z):
            raise ValueError("the process' data do not fit together")
        if min(self.variance_, self.noise_, *self.lengths_) <= 0:
            raise ValueError("the process' hyperparameters must be positive")
        self._condition(z)
        if not (np.isfinite(self.inverse_).all() and np.isfinite(self.alpha_).all()):
            raise ValueError("the process' numbers are out of range")
