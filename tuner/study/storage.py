"""Opens the Optuna storage, and turns its failures into errors that say what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tuner import paths
from tuner.errors import DiskFullError, FileMissingError, PermissionDeniedError, StorageError, TunerError
from tuner.study.database_file import snapshot, sqlite_path, tables

if TYPE_CHECKING:
    import optuna


def storage_url(storage: str | None) -> str:
    """Return the URL of the storage: what was asked for, else the embedded SQLite database."""
    if storage is None:
        return f"sqlite:///{paths.data_path() / 'studies.db'}"
    return storage if "://" in storage else f"sqlite:///{storage}"


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """Open (and make) the storage for a session that writes to it. To look at one, see `read_storage`.

    Raises:
        StorageError, PermissionDeniedError, DiskFullError: with what to do about it.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = sqlite_path(url)
    with storage_errors(url):
        if path is None:
            return optuna.storages.get_storage(url)
        made_before = _prepare_sqlite(path)
        # Where the tables are there, none is added: they may be another version's.
        storage = optuna.storages.RDBStorage(url, skip_table_creation=made_before)
        if made_before:
            with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
                connection.execute(_WITH_LOG)
        return optuna.storages.get_storage(storage)


#: A write-ahead log: one fsync a commit instead of several, and as durable.
_WITH_LOG = "PRAGMA journal_mode=WAL"


def _prepare_sqlite(path: Path) -> bool:
    """Make the file unless it is there; return whether it holds Optuna's tables already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        # A torn or overwritten file must be found now, not at the first measured trial.
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"malformed: {verdict}")
        if _made_by_optuna(tables(connection)):
            return True
        connection.execute(_WITH_LOG)
        return False


def _made_by_optuna(found: Collection[str]) -> bool:
    return {"studies", "version_info", "alembic_version"} <= set(found)


def read_storage(url: str) -> optuna.storages.BaseStorage:
    """Open a storage to look at it: nothing is made, changed or upgraded, and no permission to write is needed.

    A SQLite database is read once, whole, into memory: what is written later is not seen. Where nothing was ever
    stored in the embedded one, it is empty.

    Raises:
        FileMissingError: the file that was named is not there.
        StorageError: it holds no studies, or is damaged. PermissionDeniedError: it cannot be read.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = sqlite_path(url)
    with storage_errors(url, "read"):
        if path is None:
            options = {"execution_options": {"postgresql_readonly": True}}
            return optuna.storages.get_storage(
                optuna.storages.RDBStorage(url, engine_kwargs=options, skip_table_creation=True)
            )
        if not path.exists():
            if url == storage_url(None):
                return optuna.storages.InMemoryStorage()
            raise FileMissingError(
                f"There is no study database {path}.", "Check --storage; a session makes one, looking does not."
            )
        return _from_memory(snapshot(path), path)


def _from_memory(copy: sqlite3.Connection, path: Path) -> optuna.storages.BaseStorage:
    import optuna
    from sqlalchemy.pool import StaticPool

    found = tables(copy)
    if not found:  # what a session leaves that was ended before it began
        return optuna.storages.InMemoryStorage()
    if not _made_by_optuna(found):
        raise StorageError(f"The database {path} holds no studies: it was made by another program.", "Check --storage.")
    options = {"creator": lambda: copy, "poolclass": StaticPool}
    storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs=options, skip_table_creation=True)
    return optuna.storages.get_storage(storage)


@contextlib.contextmanager
def storage_errors(url: str, purpose: str = "write") -> Iterator[None]:
    """Turn storage failures into typed errors; `purpose` is what a database is opened for: read or write."""
    import optuna
    import sqlalchemy.exc

    try:
        yield
    except TunerError:
        raise
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error) as error:
        raise _explain(url, error, purpose) from error
    except (OSError, ImportError, RuntimeError, ValueError) as error:
        raise _explain(url, error, purpose) from error


def _explain(url: str, error: BaseException, purpose: str) -> TunerError:
    chain, current = [], error
    while current is not None:
        chain.append(str(current))
        current = current.__cause__ or current.__context__  # type: ignore[assignment]
    text = " ".join(chain).lower()
    where = str(sqlite_path(url) or url.split("@")[-1])
    if "disk is full" in text or "no space left" in text:
        return DiskFullError(
            f"The disk that holds the study database {where} is full.", "Free some space; all finished trials are kept."
        )
    if (
        "readonly" in text
        or "read-only file system" in text
        or "permission denied" in text
        or "unable to open" in text
        or "not a directory" in text
    ):
        return PermissionDeniedError(
            f"The study database {where} cannot be opened {'for writing' if purpose == 'write' else 'to read it'}.",
            "Check its permissions and folder, or name another with --storage.",
        )
    if "table schema" in text:  # Optuna's own word, for older and newer ones
        newer = "updating optuna" in text
        return StorageError(
            f"The study database {where} was made by {'a newer' if newer else 'an older'} version of Optuna.",
            "Update Optuna (`pip install -U optuna`), or name another with --storage."
            if newer
            else "Copy it, and convert it with `optuna storage upgrade`, or name another with --storage.",
        )
    if "does not exist" in text and "relation" in text:
        return StorageError(f"The database {where} holds no studies.", "Check --storage.")
    if any(word in text for word in ("not a database", "malformed", "corrupt", "disk i/o error", "no such table")):
        return StorageError(
            f"The study database {where} is damaged or no SQLite database.",
            "Move it away (`sqlite3 FILE .recover` may save its trials) or name another with --storage.",
        )
    if "locked" in text:
        return StorageError(f"The study database {where} is locked.", "Stop the other program that uses it.")
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StorageError(f"The study database {where} cannot be used: {first}.", "Check --storage.")
