"""Performance models: scikit-learn estimators of a metric over encoded configurations."""

from __future__ import annotations

from typing import Any

from tuner import registry


def create(name: str, seed: int = 0) -> Any:
    """Return a new, unfitted performance model of group `tuner.models`, with `seed` where it has chance.

    Raises:
        UnknownModelError: no plugin has that name.
    """
    model = registry.create("models", name)
    if "random_state" in getattr(model, "get_params", dict)():
        model.set_params(random_state=seed)
    return model
