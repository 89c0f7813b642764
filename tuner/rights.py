"""The rights with which a file is opened that a user named. Standard library, Python 3.8.

A daemon that runs as root opens for a member what the member may open, and nothing else. The kernel decides that, for
each link and folder on the way and at the moment of opening: what was checked before could have been replaced since.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tuner.errors import PermissionDeniedError

#: User and group of those who have no rights of their own.
_NOBODY = 65534


@dataclass(frozen=True)
class Rights:
    """A user's rights; without a `uid`, this process's own.

    Attributes:
        uid: The user.
        gid: The user's group.
        groups: All groups that the user is in.
    """

    uid: int | None = None
    gid: int = _NOBODY
    groups: tuple[int, ...] = ()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Have these rights and no others in the block, in all threads.

        The real user stays: others cannot send signals to this process. The kernel forgets what
        `prctl(PR_SET_PDEATHSIG)` asked for.

        Raises:
            PermissionDeniedError: this process may not take them.
        """
        with contextlib.ExitStack() as undo:
            if self.uid is not None:
                try:
                    self._take(self.uid, undo)
                except OSError as error:
                    raise PermissionDeniedError(
                        f"The rights of user {self.uid} cannot be taken: {error.strerror}.",
                        "Run the daemon as root with CAP_SETUID and CAP_SETGID, or as a user of its own.",
                    ) from error
            yield

    def _take(self, uid: int, undo: contextlib.ExitStack) -> None:
        steps: tuple[tuple[Callable[[Any], None], Any, Any], ...] = (
            (os.setgroups, list(self.groups), os.getgroups()),
            (os.setegid, self.gid, os.getegid()),
            (os.seteuid, uid, os.geteuid()),  # last: the others need root
        )
        for change, value, before in steps:
            change(value)
            undo.callback(change, before)


#: This process's own.
OWN = Rights()


def rights_of(uid: int | None) -> Rights:
    """Return with which rights to open what a client named.

    Args:
        uid: The client; None for one with a token only, who may open what all users may.
    """
    if os.geteuid() != 0 or uid == 0:
        return OWN  # only root has more rights than its clients, and can take theirs
    try:
        user = pwd.getpwuid(_NOBODY if uid is None else uid)
        return Rights(user.pw_uid, user.pw_gid, tuple(os.getgrouplist(user.pw_name, user.pw_gid)))
    except (KeyError, OSError):  # a user that no database knows
        return Rights(_NOBODY if uid is None else uid)
