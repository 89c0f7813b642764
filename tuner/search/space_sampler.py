"""The wrapper around every strategy's sampler: each suggestion is a configuration that exists and was not measured.

Any Optuna sampler may suggest anything of the product space. Spaces are often sparser (a measured table, a
conditional option) and a measured configuration need not be measured again, so each suggestion is replaced
by the nearest configuration that exists and was not taken. The shape follows Optuna's own
`PartialFixedSampler`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from tuner.search.candidates import Candidates
from tuner.search.observations import other_trials
from tuner.space import ConfigurationSpace
from tuner.study.distributions import distributions, suggest


class SpaceSampler(BaseSampler):
    """Wraps a base sampler; suggests whole configurations of `space` that no other trial has."""

    def __init__(self, base: BaseSampler, candidates: Candidates, seed: int) -> None:
        self._base = base
        self._candidates = candidates
        self._rng = np.random.default_rng(seed)
        self._space = distributions(candidates.space)
        self._chosen: dict[str, int] = {}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        """Return every option: the wrapper always decides the whole configuration."""
        fixed = trial.system_attrs.get("fixed_params")
        if fixed is not None:
            self._chosen = dict(fixed)
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
        taken = taken_indices(study, self._candidates.space, exclude=trial.number)
        options = self._candidates.space.options
        chosen = self._candidates.nearest_free([int(params[o.name]) for o in options], taken, self._rng)
        self._chosen = {o.name: i for o, i in zip(options, chosen, strict=True) if i >= 0}
        return dict(self._chosen)

    def parameters(self, trial: optuna.Trial) -> dict[str, int]:
        """Return option -> level index of the trial that was asked for last, enqueued or suggested; active ones only.

        Raises:
            SpaceExhaustedError: no configuration is left.
        """
        _ = trial.relative_params  # Optuna samples when this is first read
        return {o.name: suggest(trial, o) for o in self._candidates.space.options if o.name in self._chosen}

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
    """Return the configurations of all other trials, except those that were interrupted (not quarantined)."""
    return {tuple(int(params.get(o.name, -1)) for o in space.options) for _, params in other_trials(study, exclude)}


def suggestion_seed(seed: int, finished: int) -> int:
    """Return the seed of the suggestion after `finished` trials: reproducible, and another one for each."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{finished}".encode()).digest()[:4], "big")
