"""The one wrapper around every strategy's sampler: what it lets through exists and is new.

Any Optuna sampler may suggest anything of the product space. Spaces are often sparser (a measured table, a
conditional option) and a measured configuration need not be measured again, so each suggestion is replaced
by the nearest configuration that exists and was not taken. The shape follows Optuna's own
`PartialFixedSampler`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from tuner.errors import SpaceExhaustedError
from tuner.space import ConfigurationSpace
from tuner.study.distributions import distributions
from tuner.study.record import says_nothing

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Up to this many configurations the space is enumerated; beyond, a taken suggestion is perturbed.
ENUMERATE_UP_TO = 50_000


class Neighbourhood:
    """Finds the nearest configuration that exists and is free. Built once per session."""

    def __init__(self, space: ConfigurationSpace) -> None:
        self.space = space
        self._scale = np.array([1.0 / max(1, len(o.values) - 1) if o.kind == "ordinal" else 0.0 for o in space.options])
        self._categorical = np.array([o.kind == "categorical" for o in space.options])
        self._matrix: NDArray[np.int64] | None = None
        self._position: dict[tuple[int, ...], int] = {}
        if space.size <= ENUMERATE_UP_TO or space.rows is not None:
            rows = space.rows or tuple(space.indices(c) for c in space.configurations())
            self._matrix = np.array(rows, dtype=np.int64).reshape(len(rows), len(space.options))
            self._position = {row: i for i, row in enumerate(rows)}

    def nearest_free(
        self, wanted: Sequence[int], taken: set[tuple[int, ...]], rng: np.random.Generator
    ) -> tuple[int, ...]:
        """Return level indices of the free configuration nearest to `wanted` (itself where possible).

        Raises:
            SpaceExhaustedError: every configuration is taken.
        """
        indices = self.space.indices(self.space.from_indices(wanted))
        if self._matrix is None:
            return self._perturb(indices, taken, rng)
        if indices in self._position and indices not in taken:
            return indices
        free = np.ones(len(self._matrix), dtype=bool)
        free[[self._position[t] for t in taken if t in self._position]] = False
        if not free.any():
            raise SpaceExhaustedError("Every configuration of the space has been measured.", "Nothing is left to try.")
        delta = self._matrix - np.array(indices)
        distance = (np.abs(delta) * self._scale).sum(axis=1) + ((delta != 0) & self._categorical).sum(axis=1)
        distance[~free] = np.inf
        nearest = np.flatnonzero(distance <= distance.min() + 1e-12)
        chosen = self._matrix[int(rng.choice(nearest))]
        return tuple(int(v) for v in chosen)

    def _perturb(
        self, indices: tuple[int, ...], taken: set[tuple[int, ...]], rng: np.random.Generator
    ) -> tuple[int, ...]:
        candidate, moves = indices, 1
        for attempt in range(10_000):
            if candidate not in taken:
                return candidate
            changed = list(candidate if attempt % 10 else indices)
            for position in rng.integers(0, len(changed), size=moves):
                changed[position] = int(rng.integers(0, len(self.space.options[position].values)))
            candidate = self.space.indices(self.space.from_indices(changed))
            moves = 1 + attempt // 100
        raise SpaceExhaustedError("No configuration that was not measured could be found.", "Nothing is left to try.")


class SpaceSampler(BaseSampler):
    """Wraps a base sampler; suggests whole configurations of `space` that no other trial has."""

    def __init__(self, base: BaseSampler, neighbourhood: Neighbourhood, seed: int) -> None:
        self._base = base
        self._near = neighbourhood
        self._rng = np.random.default_rng(seed)
        self._space = distributions(neighbourhood.space)
        #: Level indices of the trial that was asked for last, enqueued or suggested.
        self.chosen: dict[str, int] = {}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        """Return every option: the wrapper always decides the whole configuration."""
        fixed = trial.system_attrs.get("fixed_params")
        if fixed is not None:
            self.chosen = dict(fixed)
        return {} if fixed is not None else self._space

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        """Return the base sampler's suggestion, repaired."""
        if not search_space:
            return {}
        relative = self._base.infer_relative_search_space(study, trial)
        params = dict(self._base.sample_relative(study, trial, relative))
        for name, dist in search_space.items():
            if name not in params:
                params[name] = 0 if dist.single() else self._base.sample_independent(study, trial, name, dist)
        taken = taken_indices(study, self._near.space, exclude=trial.number)
        options = self._near.space.options
        chosen = self._near.nearest_free([int(params[o.name]) for o in options], taken, self._rng)
        self.chosen = {o.name: i for o, i in zip(options, chosen, strict=True) if i >= 0}
        return dict(self.chosen)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Return the base sampler's value (only reached where an enqueued trial lacks a parameter)."""
        return self._base.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Forward to the base sampler."""
        self._base.before_trial(study, trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Forward to the base sampler."""
        self._base.after_trial(study, trial, state, values)


def taken_indices(study: optuna.Study, space: ConfigurationSpace, exclude: int) -> set[tuple[int, ...]]:
    """Return the configurations of all other trials, save those that were interrupted (not quarantined)."""
    taken: set[tuple[int, ...]] = set()
    for trial in study.get_trials(deepcopy=False):
        if trial.number == exclude or says_nothing(trial):
            continue
        params = trial.params or trial.system_attrs.get("fixed_params", {})
        taken.add(tuple(int(params.get(o.name, -1)) for o in space.options))
    return taken
