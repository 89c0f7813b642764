"""The trials of a study as arrays of level indices, which model-based samplers read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.space import ConfigurationSpace, Option
from tuner.study.distributions import distributions
from tuner.study.record import read_record, says_nothing

if TYPE_CHECKING:
    import optuna
    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

#: Levels that a continuous parameter of another program's study is cut into.
CONTINUOUS_LEVELS = 33
#: User attribute of a trial: the relative standard error of its value, where it is known.
RELATIVE_ERROR = "relative_error"


@dataclass(frozen=True, kw_only=True)
class Observations:
    """The trials of a study, except the one that is being asked for.

    Attributes:
        indices: (n, options) level indices of the trials with a value; -1 for an inactive option.
        values: (n,) what is minimised (the sign is turned for a study that maximises).
        constraints: (n, constraints) each constraint's value, <= 0 where it holds (Optuna's convention).
        violations: (n,) sum of what exceeds the constraints; 0 where all hold.
        relative_errors: (n,) standard error of each value over the value; nan where unknown.
        failed: (f, options) trials that gave no value.
        pending: (p, options) trials that run elsewhere at this moment, and enqueued ones.
        constrained: Whether any trial carries a constraint.
    """

    indices: NDArray[np.int64]
    values: NDArray[np.float64]
    constraints: NDArray[np.float64]
    violations: NDArray[np.float64]
    relative_errors: NDArray[np.float64]
    failed: NDArray[np.int64]
    pending: NDArray[np.int64]
    constrained: bool = False

    @property
    def taken(self) -> NDArray[np.int64]:
        """(t, options) every configuration that needs no further suggestion."""
        return np.vstack([self.indices, self.failed, self.pending])

    @property
    def best(self) -> int | None:
        """Position of the best trial: feasible first, then value; None without any."""
        if not len(self.values):
            return None
        return int(np.lexsort((self.values, self.violations))[0])


@dataclass(frozen=True)
class Codec:
    """Optuna's parameter values as level indices, and back.

    Attributes:
        space: The options; for a study of another program they are made of its distributions.
        values: Option -> the parameter's value at each level.
        distributions: Option -> Optuna's distribution.
    """

    space: ConfigurationSpace
    values: Mapping[str, tuple[Any, ...]]
    distributions: Mapping[str, BaseDistribution]

    @classmethod
    def of_space(cls, space: ConfigurationSpace) -> Codec:
        """Return the codec of tuner's own studies: parameters are level indices."""
        values = {o.name: tuple(range(len(o.values))) for o in space.options}
        return cls(space, values, distributions(space))

    @classmethod
    def of_distributions(cls, found: Mapping[str, BaseDistribution]) -> Codec:
        """Return the codec of another program's study, whose parameters are the options' values themselves."""
        values = {name: _levels(dist) for name, dist in found.items()}
        options = tuple(_option(name, found[name], levels) for name, levels in values.items())
        return cls(ConfigurationSpace(options), values, dict(found))

    def indices(self, params: Mapping[str, Any]) -> tuple[int, ...]:
        """Return level indices; a value between levels is the nearest, an absent one -1."""
        return tuple(_position(self.values[o.name], params.get(o.name)) for o in self.space.options)

    def params(self, indices: Sequence[int]) -> dict[str, Any]:
        """Return the parameters of level indices; inactive options are left out."""
        pairs = zip(self.space.options, indices, strict=True)
        return {o.name: self.values[o.name][int(i)] for o, i in pairs if i >= 0}


def observe(study: optuna.Study, codec: Codec, exclude: int) -> Observations:
    """Return what `study` knows, without trial `exclude`.

    Interrupted trials count as never asked for, quarantined ones as failed. A value that is not finite counts
    as a failure.
    """
    from optuna.trial import TrialState

    done: list[FrozenTrial] = []
    failed: list[tuple[int, ...]] = []
    pending: list[tuple[int, ...]] = []
    for trial, params in other_trials(study, exclude):
        where = codec.indices(params)
        if all(i < 0 for i in where):
            continue
        if trial.state == TrialState.COMPLETE and np.isfinite(trial.value or 0.0):
            done.append(trial)
        elif trial.state.is_finished():
            failed.append(where)
        else:
            pending.append(where)
    bounds = sorted({key for t in done for key in t.constraints})
    # A trial that lacks a constraint is taken to keep it: it was finished before the constraint was made.
    signed = np.array([[t.constraints.get(k, 0.0) for k in bounds] for t in done]).reshape(len(done), len(bounds))
    sign = -1.0 if study.direction.name == "MAXIMIZE" else 1.0
    width = len(codec.space.options)
    return Observations(
        indices=_matrix([codec.indices(t.params) for t in done], width),
        values=np.array([sign * float(t.value or 0.0) for t in done]),
        constraints=signed,
        violations=np.maximum(signed, 0.0).sum(axis=1),
        relative_errors=np.array([_relative_error(t) for t in done]),
        failed=_matrix(failed, width),
        pending=_matrix(pending, width),
        constrained=any(t.constraints for t in done),
    )


def other_trials(study: optuna.Study, exclude: int) -> Iterator[tuple[FrozenTrial, Mapping[str, Any]]]:
    """Yield each trial but `exclude` with its parameters, those of an enqueued trial included.

    Interrupted trials (`says_nothing`) are left out: they are measured again.
    """
    for trial in study.get_trials(deepcopy=False):
        if trial.number != exclude and not says_nothing(trial):
            yield trial, trial.params or trial.system_attrs.get("fixed_params", {})


def _matrix(rows: Sequence[tuple[int, ...]], width: int) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(len(rows), width)


def _relative_error(trial: FrozenTrial) -> float:
    said = trial.user_attrs.get(RELATIVE_ERROR)
    if isinstance(said, (int, float)):
        return float(said)
    try:
        record = read_record(trial)
    except (ValueError, TypeError):  # damaged: `tuner study` reports it
        record = None
    samples = record.samples if record else ()
    if len(samples) < 3 or not trial.value:
        return float("nan")
    return float(np.std(samples, ddof=1) / np.sqrt(len(samples)) / abs(trial.value))


def _levels(dist: BaseDistribution) -> tuple[Any, ...]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dist, CategoricalDistribution):
        return tuple(dist.choices)
    if isinstance(dist, IntDistribution):
        count = (dist.high - dist.low) // dist.step + 1
        if count <= CONTINUOUS_LEVELS * 4:
            return tuple(range(dist.low, dist.high + 1, dist.step))
        steps = _spread(dist.low, dist.high, dist.log)
        return tuple(sorted({int(dist.low + round((v - dist.low) / dist.step) * dist.step) for v in steps}))
    if isinstance(dist, FloatDistribution):
        if dist.step is not None and (dist.high - dist.low) / dist.step <= CONTINUOUS_LEVELS * 4:
            return tuple(dist.low + i * dist.step for i in range(round((dist.high - dist.low) / dist.step) + 1))
        return tuple(dict.fromkeys(_spread(dist.low, dist.high, dist.log)))
    raise TypeError(f"no levels for {type(dist).__name__}")


def _spread(low: float, high: float, log: bool) -> list[float]:
    spaced = np.geomspace(low, high, CONTINUOUS_LEVELS) if log else np.linspace(low, high, CONTINUOUS_LEVELS)
    return [min(high, max(low, float(v))) for v in spaced]


def _option(name: str, dist: BaseDistribution, levels: tuple[Any, ...]) -> Option:
    from optuna.distributions import CategoricalDistribution

    categorical = isinstance(dist, CategoricalDistribution)
    plain = all(isinstance(v, (bool, int, float, str)) for v in levels)
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in levels)
    # Choices that are ascending numbers (frequencies) have an order, whatever distribution they came in.
    ordered = not categorical or (numeric and list(levels) == sorted(set(levels)))
    values = levels if plain else tuple(map(repr, levels))
    if len(set(values)) < len(values):  # True and 1 are one value to Python, two choices to Optuna
        values = tuple(f"{i}: {v!r}" for i, v in enumerate(levels))
    return Option(name, values, "ordinal" if ordered else "categorical")


def _position(levels: tuple[Any, ...], value: Any) -> int:
    if value is None and None not in levels:
        return -1
    for position, level in enumerate(levels):
        if level == value and type(level) is type(value):
            return position
    for position, level in enumerate(levels):
        if level == value:
            return position
    if isinstance(value, (int, float)) and all(isinstance(v, (int, float)) for v in levels):
        return int(np.argmin([abs(float(v) - float(value)) for v in levels]))
    return -1
