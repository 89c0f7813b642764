"""Performance models as JSON documents: no pickle, nothing that is run when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner import registry
from tuner.errors import MalformedFileError, UnknownModelError

FORMAT = 1


def to_document(model: Any) -> dict[str, Any]:
    """Return a fitted performance model as a JSON-able document.

    Raises:
        sklearn.exceptions.NotFittedError: it was not fitted.
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "is_fitted_")
    return {
        "format": FORMAT,
        "learner": model.name,
        "params": {k: _plain(v) for k, v in model.get_params(deep=False).items()},
        "columns": int(model.n_features_in_),
        "state": model.state(),
    }


def _plain(value: Any) -> Any:
    """Return a parameter as JSON can hold it: an array as lists."""
    return value.tolist() if hasattr(value, "tolist") else value


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
        if isinstance(columns, bool) or not isinstance(columns, int) or columns < 1:
            raise ValueError("columns must be a positive whole number")
        known = set(model.get_params(deep=False))
        params = document["params"]
        if not isinstance(params, Mapping) or set(params) - known:
            raise ValueError("unknown parameters")
        model.set_params(**params)
        model.n_features_in_ = columns
        model.restore(document["state"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise MalformedFileError(
            f"The saved performance model '{name}' is damaged: {error}.", "Learn it again."
        ) from error
    model.is_fitted_ = True
    return model
