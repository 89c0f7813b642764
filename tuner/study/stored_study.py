"""Studies in a storage, read only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.errors import StorageError, StudyMismatchError, UnknownStudyError
from tuner.study.record import TrialRecord, read_record
from tuner.study.storage import read_storage, storage_errors
from tuner.study.study import IDENTITY, StudyIdentity

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class StoredStudy:
    """A study of tuner's.

    Attributes:
        name: The study's.
        identity: What all its sessions share.
        records: Of the trials that ended, oldest first.
    """

    name: str
    identity: StudyIdentity
    records: tuple[TrialRecord, ...]

    @property
    def measured(self) -> tuple[TrialRecord, ...]:
        """The records whose value is their configuration's."""
        return tuple(r for r in self.records if r.holds)


@dataclass(frozen=True)
class ListedStudy:
    """A study in a list: its number of trials, and of those that one can learn from; None if it is not tuner's."""

    name: str
    trials: int
    measured: int | None


def read_study(url: str, name: str) -> StoredStudy:
    """Return a study.

    Raises:
        UnknownStudyError: with the nearest names. StudyMismatchError: another program made it.
        StorageError: it is damaged. What `read_storage` raises.
    """
    import optuna

    storage = read_storage(url)
    with storage_errors(url, "read"):
        names = optuna.get_all_study_names(storage)
        if name not in names:
            raise UnknownStudyError(name, names)
        study = optuna.load_study(study_name=name, storage=storage)
        identity = _identity(study)
        if identity is None:
            raise StudyMismatchError(
                f"Study '{name}' was not made by tuner.",
                "Name another study; the list of studies says which are tuner's.",
            )
        return StoredStudy(name, identity, _records(study))


def list_studies(url: str) -> list[ListedStudy]:
    """Return all studies of a storage. Raises what `read_storage` raises; StorageError: one is damaged."""
    import optuna

    storage = read_storage(url)
    with storage_errors(url, "read"):
        names = optuna.get_all_study_names(storage)
        return [_listed(optuna.load_study(study_name=name, storage=storage)) for name in names]


def _listed(study: optuna.Study) -> ListedStudy:
    count = len(study.get_trials(deepcopy=False))
    if _identity(study) is None:
        return ListedStudy(study.study_name, count, None)
    return ListedStudy(study.study_name, count, sum(r.holds for r in _records(study)))


def _identity(study: optuna.Study) -> StudyIdentity | None:
    text = study.user_attrs.get(IDENTITY)
    return None if text is None else StudyIdentity.from_json(text, study.study_name)


def _records(study: optuna.Study) -> tuple[TrialRecord, ...]:
    trials: Sequence[optuna.trial.FrozenTrial] = study.get_trials(deepcopy=False)
    try:
        return tuple(r for r in map(read_record, trials) if r is not None)
    except (TypeError, ValueError, KeyError) as error:
        raise StorageError(
            f"Study '{study.study_name}' is damaged: a trial's record cannot be read ({error}).", "Name another study."
        ) from error
