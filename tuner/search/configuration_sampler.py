"""The base of samplers that choose whole configurations: an Optuna sampler in one method."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace

from tuner.errors import SpaceExhaustedError
from tuner.ports import Belief
from tuner.search.candidates import Candidates, free_mask, level_indices
from tuner.search.observations import Codec, Observations, observe
from tuner.space import ConfigurationSpace

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


class ConfigurationSampler(BaseSampler):
    """Suggests configurations of a space; usable in any ``optuna.create_study(sampler=...)``.

    With `space`, parameters are level indices as `tuner.study.distributions` makes them (a study of
    tuner's own, or one that suggests through `tuner.study.distributions.suggest`). Without, the space is
    the intersection of what the study's finished trials suggested; the first trial is then random.

    All knowledge is read from the study at each suggestion, so that a study may be resumed, filled by
    others in parallel, or seeded with enqueued trials. A subclass writes `suggest`.

    Args:
        space: The configuration space, None to infer it.
        seed: Of everything random.
    """

    def __init__(self, space: ConfigurationSpace | None = None, *, seed: int | None = None) -> None:
        self._codec = None if space is None else Codec.of_space(space)
        self._candidates: Candidates | None = None
        self._inferred = IntersectionSearchSpace()
        self._independent = RandomSampler(seed=seed)
        self._seed = seed
        self._rng = np.random.default_rng(seed)
        #: What was believed at the last suggestion.
        self.belief: Belief | None = None

    @abstractmethod
    def suggest(
        self, candidates: Candidates, observations: Observations, rng: np.random.Generator
    ) -> Sequence[int] | None:
        """Return the level indices of the next configuration (inactive options -1), not yet taken.

        None asks for a random one. `candidates.space` is the space; it is the same object for each suggestion
        of this sampler.
        """

    def reseed_rng(self) -> None:
        """Start another random sequence (Optuna calls this in each parallel worker)."""
        self._rng = np.random.default_rng()
        self._independent.reseed_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return every option of the space, or what the study's trials have in common."""
        if self._codec is not None:
            return dict(self._codec.distributions)
        return self._inferred.calculate(study)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters of `suggest`'s configuration."""
        if not search_space:
            return {}
        codec = self._codec if self._codec is not None else Codec.of_distributions(search_space)
        candidates = self._candidates
        if candidates is None or candidates.space != codec.space:
            candidates = self._candidates = Candidates(codec.space)
        observations = observe(study, codec, trial.number)
        chosen = self.suggest(candidates, observations, self._rng)
        if chosen is None:
            chosen = random_free(candidates, observations, self._rng)
        return codec.params(chosen)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value: of a parameter that the space lacks, or before there is a space."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)


def random_free(candidates: Candidates, observations: Observations, rng: np.random.Generator) -> tuple[int, ...]:
    """Return a configuration that is not taken; one that is where all are.

    Raises:
        SpaceExhaustedError: the space has no configuration at all.
    """
    for _ in range(20):
        drawn = candidates.draw(1 if candidates.all is None else len(candidates.all), rng)
        if not len(drawn):
            raise SpaceExhaustedError("The space has no configuration.", "Give it at least one option.")
        free = drawn[free_mask(drawn, observations.taken)]
        if len(free):
            return level_indices(free[0])
    return level_indices(drawn[0])
