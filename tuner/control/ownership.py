"""One owner per board, by every path, state directory and connection."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from tuner.control import journal
from tuner.control.lock import DeviceLock
from tuner.errors import PermissionDeniedError, RestoreError
from tuner.ports.option import Actuator, OnBoard
from tuner.strict_json import parse_json

#: Where root's locks of boards lie: its sessions, its services and its actuators share them.
_ROOTS_LOCKS = Path("/run/tuner-lock")
_THIS_MACHINE = "this-machine"


@contextlib.contextmanager
def owned(actuator: Actuator, device_spec: str, journal_dir: Path) -> Iterator[None]:
    """Own a device: its journals in `journal_dir`, and the board that they are of.

    Raises:
        DeviceBusyError: another process (or session) has one of them; names that process.
        RestoreError: a dead owner left the board half set, and its journal lies elsewhere.
        DiskFullError, PermissionDeniedError, StorageError: there can be no lock file.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(DeviceLock(journal_dir, device_spec))
        board = board_of(actuator)
        if board is not None:
            stack.enter_context(_board_owned(board, device_spec, journal_dir))
        yield


def board_of(actuator: Actuator) -> str | None:
    """Return a name of the board that an actuator writes, the same by every path to it.

    None where its values are no files: then it is a part of the state directory.
    """
    root = actuator.board_root() if isinstance(actuator, OnBoard) else None
    if root is None:
        return None
    try:
        if os.path.samefile(root, "/"):
            return _THIS_MACHINE
        found = os.stat(os.path.join(root, "sys"))
        if found.st_dev == os.stat("/sys").st_dev != os.stat("/").st_dev:  # this machine's, mounted there as well
            return _THIS_MACHINE
    except OSError:
        return os.path.realpath(root)
    return f"{found.st_dev:x}-{found.st_ino:x}"


@contextlib.contextmanager
def _board_owned(board: str, device_spec: str, journal_dir: Path) -> Iterator[None]:
    """Own a board, and leave a note where its journals are as long as it is not as it was."""
    lock = DeviceLock(_lock_dir(), board, device_spec)
    lock.take()
    place = (str(journal_dir.resolve()), device_spec)
    try:
        _refuse_half_set(lock, place)
        lock.sign(json.dumps(place))
        yield
    finally:
        lock.release(keep_note=any(path.exists() for path in journal.unfinished_paths(journal_dir, device_spec)))


def _refuse_half_set(lock: DeviceLock, place: tuple[str, str]) -> None:
    """Refuse a board whose last owner died and has its journal elsewhere: half-set values would be taken for originals.

    Args:
        lock: The board's, with the note of the last owner.
        place: Journal directory and device of the next owner.

    Raises:
        RestoreError: says where, and what to do.
    """
    try:
        journal_dir, device = map(str, parse_json(lock.note()))
    except (ValueError, TypeError):  # none, or cut off by a full disk
        return
    if (journal_dir, device) == place:
        return
    if any(path.exists() for path in journal.unfinished_paths(Path(journal_dir), device)):
        state_dir = shlex.quote(str(Path(journal_dir).parent))
        raise RestoreError(
            f"A tuner (process {lock.owner_pid()}) left this board half set, as '{device}'.",
            f"Put it back first: `TUNER_STATE_DIR={state_dir} tuner restore`.",
        )


def _lock_dir() -> Path:
    """Return (and make) the folder of boards' locks: no other user can write there, or could keep root out.

    Raises:
        PermissionDeniedError: there can be none, or it is another user's.
    """
    user = os.geteuid()
    given = os.environ.get("TUNER_LOCK_DIR")
    folder = Path(given) if given else _ROOTS_LOCKS if user == 0 else Path(f"/tmp/tuner-lock-{user}")
    hint = "Set TUNER_LOCK_DIR to a directory of this user's, the same for all that set the board."
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        reason = error.strerror or str(error)
        raise PermissionDeniedError(f"The boards' locks '{folder}' cannot be made: {reason}.", hint) from error
    if not given and (found.st_uid != user or not stat.S_ISDIR(found.st_mode)):
        raise PermissionDeniedError(f"'{folder}', for boards' locks, is another user's.", hint)
    return folder
