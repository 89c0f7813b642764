"""Neural network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.estimator import Estimator, finite_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class NeuralNetworkModel(Estimator):
    """The study's NN: one layer of 40 tanh units, fitted by L-BFGS, inputs and outputs standardised.

    Args:
        units: Hidden units.
        alpha: L2 penalty.
        max_iter: Most iterations of L-BFGS.
        random_state: Seed of the first weights.
    """

    name = "nn"
    summary = "neural network, 40 tanh units (the study's NN)"

    def __init__(self, units: int = 40, alpha: float = 1e-4, max_iter: int = 1000, random_state: int = 0) -> None:
        self.units = units
        self.alpha = alpha
        self.max_iter = max_iter
        self.random_state = random_state

    def _learn(self, design: Floats, values: Floats) -> None:
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

        self.centre_, self.scale_ = design.mean(axis=0), _spread(design.std(axis=0))
        self.y_centre_, self.y_scale_ = float(values.mean()), float(values.std()) or 1.0
        network = MLPRegressor(
            hidden_layer_sizes=(self.units,),
            activation="tanh",
            solver="lbfgs",
            alpha=self.alpha,
            max_iter=self.max_iter,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the limit of iterations is a parameter
            network.fit((design - self.centre_) / self.scale_, (values - self.y_centre_) / self.y_scale_)
        self.n_iter_ = int(network.n_iter_)
        self.weights_ = [np.asarray(w, dtype=float) for w in network.coefs_]
        self.biases_ = [np.asarray(b, dtype=float) for b in network.intercepts_]

    def _estimate(self, design: Floats) -> tuple[Floats, Floats]:
        hidden = np.tanh((design - self.centre_) / self.scale_ @ self.weights_[0] + self.biases_[0])
        out = (hidden @ self.weights_[1] + self.biases_[1])[:, 0]
        return self.y_centre_ + self.y_scale_ * out, np.zeros(len(design))

    def state(self) -> dict[str, Any]:
        """Return scales, weights and biases."""
        return {
            "centre": self.centre_.tolist(),
            "scale": self.scale_.tolist(),
            "y_centre": self.y_centre_,
            "y_scale": self.y_scale_,
            "weights": [w.tolist() for w in self.weights_],
            "biases": [b.tolist() for b in self.biases_],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take scales, weights and biases over."""
        columns = self.n_features_in_
        self.centre_, self.scale_ = finite_array(state["centre"], 1), finite_array(state["scale"], 1)
        self.y_centre_ = float(finite_array(state["y_centre"], 0))
        self.y_scale_ = float(finite_array(state["y_scale"], 0))
        self.weights_ = [finite_array(w, 2) for w in state["weights"]]
        self.biases_ = [finite_array(b, 1) for b in state["biases"]]
        units = len(self.biases_[0])
        shapes = [w.shape for w in self.weights_], [len(b) for b in self.biases_]
        if shapes != ([(columns, units), (units, 1)], [units, 1]):
            raise ValueError("the network's layers do not fit together")
        if len(self.centre_) != columns or len(self.scale_) != columns or not self.scale_.all():
            raise ValueError("the network's scales do not fit its inputs")


def _spread(deviation: Floats) -> Floats:
    return np.where(deviation > 0, deviation, 1.0)
