"""Performance models: scikit-learn estimators of a metric over encoded configurations.

``tuner.models.create("rt")`` makes one by the name of its plugin; `learners` lists them.
"""

from __future__ import annotations

from typing import Any

from tuner import registry


def learners() -> tuple[str, ...]:
    """Return the names of the installed performance models."""
    return registry.names("models")


def create(name: str) -> Any:
    """Return a new performance model by name.

    Raises:
        UnknownModelError: no plugin has that name.
    """
    return registry.create("models", name)
