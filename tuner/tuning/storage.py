"""Opening the Optuna storage, and saying in plain words what is wrong with it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tuner import paths
from tuner.errors import DiskFullError, PermissionDeniedError, StorageError, TunerError

if TYPE_CHECKING:
    import optuna


def storage_url(storage: str | None) -> str:
    """Return the URL of the storage: what was asked for, else the embedded SQLite database."""
    if storage is None:
        return f"sqlite:///{paths.data_dir() / 'studies.db'}"
    return storage if "://" in storage else f"sqlite:///{storage}"


def sqlite_path(url: str) -> Path | None:
    """Return the database file of a SQLite URL, None for any other."""
    if not url.startswith("sqlite:///"):
        return None
    return Path(url.removeprefix("sqlite:///").split("?")[0])


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """Open (and make) the storage.

    Raises:
        StorageError, PermissionDeniedError, DiskFullError: with what to do about it.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = sqlite_path(url)
    with storage_errors(url):
        if path is not None:
            _prepare_sqlite(path)
        return optuna.storages.get_storage(url)


def _prepare_sqlite(path: Path) -> None:
    """Make the file with a write-ahead log: one fsync a commit instead of several, and as durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        # A torn or overwritten file must be found now, not at the first measured trial.
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"malformed: {verdict}")


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn storage failures into typed errors."""
    import optuna
    import sqlalchemy.exc

    try:
        yield
    except TunerError:
        raise
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error) as error:
        raise _explain(url, error) from error
    except (OSError, ImportError, RuntimeError, ValueError) as error:
        raise _explain(url, error) from error


def _explain(url: str, error: BaseException) -> TunerError:
    chain, current = [], error
    while current is not None:
        chain.append(str(current))
        current = current.__cause__ or current.__context__  # type: ignore[assignment]
    text = " ".join(chain).lower()
    where = str(sqlite_path(url) or url.split("@")[-1])
    if "disk is full" in text or "no space left" in text:
        return DiskFullError(
            f"The disk that holds the study database {where} is full.",
            "Free some space and run the same command again with --study; all finished trials are kept.",
        )
    if (
        "readonly" in text
        or "permission denied" in text
        or "unable to open" in text
        or "not a directory" in text
    ):
        return PermissionDeniedError(
            f"The study database {where} cannot be opened for writing.",
            "Check its permissions and folder, or name another with --storage.",
        )
    if any(
        word in text for word in ("not a database", "malformed", "corrupt", "disk i/o error", "no such table")
    ):
        return StorageError(
            f"The study database {where} is damaged or no SQLite database.",
            "Move it away (`sqlite3 FILE .recover` may save its trials) or name another with --storage.",
        )
    if "locked" in text:
        return StorageError(f"The study database {where} is locked.", "Stop the other program that uses it.")
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StorageError(f"The study database {where} cannot be used: {first}.", "Check --storage.")
