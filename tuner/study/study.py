"""A study in Optuna's storage: created, resumed, compared with what a session wants, freed of trials left in flight."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tuner import paths
from tuner.environment import Environment
from tuner.errors import StorageError, StudyMismatchError
from tuner.objective import Constraint, Objective
from tuner.space import Configuration, ConfigurationSpace
from tuner.study.database_file import WatchedDatabase, sqlite_path
from tuner.study.distributions import from_params, to_params
from tuner.study.record import CRASHED, INTERRUPTED, QUARANTINED, RECORD, TrialRecord, read_record, says_nothing
from tuner.study.storage import storage_errors
from tuner.study.visits import VISIT, VisitRecord, read_visits

#: User attribute of the study that holds what a resume must share.
IDENTITY = "tuner_identity"
#: User attribute of the study that holds the boot of the device at its last session.
BOOT = "tuner_boot"
#: So often may the device go down with a configuration until that is never tried again.
CRASHES_ALLOWED = 2


@dataclass(frozen=True, kw_only=True)
class StudyIdentity:
    """What makes two sessions the same study."""

    environment: Mapping[str, str]
    objective: str
    metric: str
    unit: str
    constraints: tuple[str, ...] = ()
    space: Sequence[Mapping[str, Any]]

    def to_json(self) -> str:
        """Return the identity as text."""
        return json.dumps(self.__dict__, sort_keys=True, default=list)

    @classmethod
    def from_json(cls, text: object, study: str) -> StudyIdentity:
        """Return the identity that a study carries.

        Raises:
            StorageError: it is not one.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_json(text)  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "its identity"
            raise StorageError(
                f"Study '{study}' is damaged: {where}: {first['msg']}.", "Name another study."
            ) from error


def identity(
    environment: Environment, objective: Objective, constraints: Sequence[Constraint], space: ConfigurationSpace
) -> StudyIdentity:
    """Return the identity of a session that is about to start."""
    return StudyIdentity(
        environment=environment.identity(),
        objective=objective.name,
        metric=objective.metric.name,
        unit=objective.metric.unit,
        constraints=tuple(sorted(c.text for c in constraints)),
        space=space.signature(),
    )


@dataclass(frozen=True)
class LeftInFlight:
    """A trial that was in flight when its process died.

    `crashes` is how often the device went down with this configuration, this time included; 0 where only
    the process was killed this time.
    """

    number: int
    configuration: Configuration
    crashes: int
    quarantined: bool


class StudyStore:
    """The study of one session. Every method that writes maps storage failures to typed errors."""

    def __init__(self, storage: optuna.storages.BaseStorage, url: str, name: str, space: ConfigurationSpace) -> None:
        self.url = url
        self.name = name
        self._storage, self._space = storage, space
        with storage_errors(url):
            self.study = optuna.create_study(
                storage=storage,
                study_name=name,
                load_if_exists=True,
                direction="minimize",
                sampler=optuna.samplers.RandomSampler(),
                pruner=optuna.pruners.NopPruner(),
            )
            self._study_id = storage.get_study_id_from_name(name)
            path = sqlite_path(url)
            self._file = None if path is None else WatchedDatabase(path)

    def claim(self, wanted: StudyIdentity) -> bool:
        """Record the identity of a new study, or check it against the one that is resumed.

        Returns:
            Whether the study existed before.

        Raises:
            StudyMismatchError: naming each difference.
        """
        with storage_errors(self.url):
            known = self.study.user_attrs.get(IDENTITY)
            if known is None:
                if self.study.get_trials(deepcopy=False):
                    raise StudyMismatchError(
                        f"Study '{self.name}' was not made by tuner.", "Choose another name with --study."
                    )
                self.study.set_user_attr(IDENTITY, wanted.to_json())
                return False
        before, now = (StudyIdentity.from_json(text, self.name) for text in (known, wanted.to_json()))
        differences = _differences(vars(before), vars(now))
        if differences:
            raise StudyMismatchError(
                f"Study '{self.name}' cannot be resumed: {'; '.join(differences)}.",
                "Run the command that it was started with, or choose another name with --study.",
            )
        return True

    def clean(self, crashed: bool = False) -> list[LeftInFlight]:
        """Mark trials that were in flight when a process died as failed; return them.

        They are asked for again: enqueued ones by their parameters, the sampler's by its seed, which counts
        finished trials only. The exception is a configuration with which the device (`crashed`) went down
        `CRASHES_ALLOWED` times before: that is quarantined, and no sampler gets to suggest it again.
        """
        stale = []
        with storage_errors(self.url):
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                record, running = read_record(trial), self._running(trial.number)
                if record is not None:
                    self._close(running, record)
                    continue  # it was measured and stored; only its last write was missing
                stale.append(self._left(running, trial, crashed))
        return stale

    def _running(self, number: int) -> optuna.Trial:
        """Return a trial that another process began, to be ended by this one."""
        return optuna.Trial(self.study, self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number))

    def _left(self, running: optuna.Trial, trial: FrozenTrial, crashed: bool) -> LeftInFlight:
        params = _asked(trial)
        crashes = 0
        if crashed:
            running.set_user_attr(CRASHED, True)
            others = self.study.get_trials(deepcopy=False)
            crashes = 1 + sum(
                _asked(t) == params and bool(t.user_attrs.get(CRASHED)) for t in others if t.number != trial.number
            )
        quarantined = crashes >= CRASHES_ALLOWED
        if quarantined:
            running.set_user_attr(QUARANTINED, True)
        reason = "the device went down" if crashed else "the process was killed"
        self.interrupt(running, f"{reason} while this trial ran", again=not quarantined)
        return LeftInFlight(trial.number, from_params(self._space, params), crashes, quarantined)

    def interrupt(self, trial: optuna.Trial, reason: str, again: bool = True) -> None:
        """End a trial that says nothing about its configuration; queue an enqueued one again."""
        frozen = next(t for t in self.study.get_trials(deepcopy=False) if t.number == trial.number)
        fixed = frozen.system_attrs.get("fixed_params")
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if again and fixed is not None and all(t.system_attrs.get("fixed_params") != fixed for t in waiting):
            attrs = {"origin": frozen.user_attrs.get("origin", "enqueued")}
            self.study.enqueue_trial(fixed, user_attrs=attrs)
        trial.set_user_attr(INTERRUPTED, reason)
        self.study.tell(trial, state=TrialState.FAIL)

    def note_boot(self, boot_id: str) -> bool:
        """Record the device's boot; return whether an earlier session knew another one."""
        with storage_errors(self.url):
            known = self.study.user_attrs.get(BOOT)
            if known != boot_id:
                self.study.set_user_attr(BOOT, boot_id)
        return known is not None and known != boot_id

    def records(self) -> list[TrialRecord]:
        """Return the finished trials' records, oldest first; interrupted ones are not among them."""
        with storage_errors(self.url):
            trials = self.study.get_trials(deepcopy=False)
        return [r for r in map(read_record, trials) if r is not None and r.state != "interrupted"]

    def visits(self) -> list[VisitRecord]:
        """Return what confirmations of this study measured, oldest first.

        Raises:
            StorageError: one is damaged.
        """
        with storage_errors(self.url):
            attributes = self.study.user_attrs
        try:
            return read_visits(attributes)
        except (ValueError, TypeError) as error:
            raise StorageError(f"Study '{self.name}' is damaged: {error}.", "Name another study.") from error

    def add_visit(self, visit: VisitRecord) -> None:
        """Store one measurement of the confirmation."""
        with storage_errors(self.url):
            number = sum(key.startswith(VISIT) for key in self.study.user_attrs)
            self.study.set_user_attr(f"{VISIT}{number}", visit.to_json())

    def enqueue(self, configuration: Configuration, origin: str) -> bool:
        """Enqueue a configuration that the study does not hold yet; return whether it was new."""
        params = to_params(self._space, configuration)
        with storage_errors(self.url):
            for trial in self.study.get_trials(deepcopy=False):
                if says_nothing(trial):
                    continue
                if params in (trial.params, trial.system_attrs.get("fixed_params")):
                    return False
            self.study.enqueue_trial(params, user_attrs={"origin": origin})
        return True

    def finish(self, trial: optuna.Trial, record: TrialRecord) -> None:
        """Store a trial's record and close it. The record comes first, so that a kill in between loses
        nothing: `clean` closes the trial from its record."""
        with storage_errors(self.url):
            trial.set_user_attr(RECORD, record.to_json())
            self._close(trial, record)

    def verify(self) -> None:
        """Make sure that the database is still where it was opened.

        Raises:
            StorageError: it was removed or replaced. All that is in the study was copied to another file first,
                which the hint names.
        """
        if self._file is None or self._file.is_there:
            return
        what = f"The study database {self._file.path} was removed or replaced while this session used it."
        try:
            copy = self._file.rescue(paths.data_dir() / "rescued")
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                what, f"Nor can it be copied elsewhere ({error}): the trials that were printed are all there is."
            ) from error
        raise StorageError(
            what,
            f"All that was measured is in a copy: run the same command with --storage {shlex.quote(str(copy))} "
            f"--study {shlex.quote(self.name)} to go on.",
        )

    def _close(self, trial: optuna.Trial, record: TrialRecord) -> None:
        if record.value is None:
            self.study.tell(trial, state=TrialState.FAIL)
            return
        known = trial.constraints if record.violations else {}
        for text, violation in record.violations.items():
            if text not in known:
                trial.set_constraint(text, violation)
        self.study.tell(trial, record.value)


def _asked(trial: FrozenTrial) -> Mapping[str, Any]:
    return trial.params or trial.system_attrs.get("fixed_params", {})


def _differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    found = []
    for key in ("device", "board", "workload"):
        a, b = known["environment"].get(key), wanted["environment"].get(key)
        if a != b:
            found.append(f"its {key} is {a}, not {b}")
    for key in ("objective", "metric", "constraints"):
        if known[key] != wanted[key]:
            found.append(f"its {key} is {_shown(known[key])}, not {_shown(wanted[key])}")
    if known["space"] != wanted["space"]:
        a, b = ({o.get("name", "rows"): o for o in side["space"]} for side in (known, wanted))
        changed = [n for n in a if n in b and a[n] != b[n]]
        parts = [
            f"{word} {', '.join(names)}"
            for word, names in (
                ("lacks option", sorted(set(a) - set(b))),
                ("has the new option", sorted(set(b) - set(a))),
                ("has other values for", changed),
            )
            if names
        ]
        found.append("the space now " + " and ".join(parts or ["has its options in another order"]))
    return found


def _shown(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
