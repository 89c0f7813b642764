"""Performance models as JSON documents: no pickle, and nothing is executed when one is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tuner import registry
from tuner.errors import MalformedFileError, UnknownModelError, UsageError

FORMAT = 1
#: More columns than any space has: a damaged number must not claim the memory.
MOST_COLUMNS = 100_000


def to_document(model: Any) -> dict[str, Any]:
    """Return a fitted performance model as a JSON-able document.

    Raises:
        sklearn.exceptions.NotFittedError: it was not fitted.
        UsageError: it has no `state`, or a parameter that JSON cannot hold.
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "is_fitted_")
    if not hasattr(model, "state"):
        raise UsageError(
            f"A {type(model).__name__} cannot be saved.", "Derive it from tuner.models.estimator.Estimator."
        )
    params = {k: _plain(v) for k, v in model.get_params(deep=False).items()}
    for key, value in params.items():
        if not _is_json(value):
            raise UsageError(f"Parameter '{key}' cannot be saved: {value!r}.", "Use a number, text or a list.")
    return {
        "format": FORMAT,
        "learner": model.name,
        "params": params,
        "columns": int(model.n_features_in_),
        "state": model.state(),
    }


def _plain(value: Any) -> Any:
    """Return a parameter as JSON can hold it: an array as lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def _is_json(value: Any) -> bool:
    """Return whether a parameter is a finite number, text, a truth, nothing, or lists of these."""
    if isinstance(value, (list, tuple)):
        return all(_is_json(v) for v in value)
    return value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def from_document(document: Any) -> Any:
    """Return the fitted model of a document.

    Raises:
        MalformedFileError: it is no such document.
        UnknownModelError: no installed plugin has that learner.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise MalformedFileError(
            f"This is no performance model of format {FORMAT}.", "Learn it again with this version of tuner."
        )
    name = document.get("learner")
    if not isinstance(name, str):
        raise UnknownModelError(str(name), registry.names("models"))
    model = registry.create("models", name)
    try:
        columns = document["columns"]
        if isinstance(columns, bool) or not isinstance(columns, int) or not 1 <= columns <= MOST_COLUMNS:
            raise ValueError(f"columns must be a whole number from 1 to {MOST_COLUMNS}")
        known = set(model.get_params(deep=False))
        params = document["params"]
        if not isinstance(params, Mapping) or set(params) - known:
            raise ValueError("unknown parameters")
        if not all(_is_json(v) for v in params.values()):
            raise ValueError("a parameter is no finite number, text or list")
        model.set_params(**params)
        model.n_features_in_ = columns
        model.restore(document["state"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedFileError(
            f"The saved performance model '{name}' is damaged: {error}.", "Learn it again."
        ) from error
    model.is_fitted_ = True
    return model
