"""How many connections the daemon takes from each user; some handles are always left for its own work."""

from __future__ import annotations

import resource
from collections import Counter

#: Connections at a time, where there are handles enough.
MOST_CONNECTIONS = 128
#: Connections that only root and the daemon's own user may take: they can always stop a session.
FOR_ROOT = 4
#: Connections that are taken in one turn of the loop.
ACCEPTED_AT_ONCE = 4
#: Handles for sessions, jobs, files, and connections that are about to be refused.
_RESERVE = 48
#: A connection that follows a session has its log open as well.
_HANDLES_EACH = 2


def most_connections() -> int:
    """Return how many connections this process can take, by its limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(2 * FOR_ROOT, min(MOST_CONNECTIONS, (soft - _RESERVE) // _HANDLES_EACH))


class Connections:
    """The connections that are open now.

    Args:
        most: How many may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[int | None] = Counter()

    def enter(self, uid: int | None, is_root: bool) -> bool:
        """Count a connection of a user (None: of a TCP client); return False where it is one too many.

        One user takes at most half of what there is for users.
        """
        for_users = self._most - FOR_ROOT
        full = self._open.total() >= (self._most if is_root else for_users)
        if full or (not is_root and self._open[uid] >= max(1, for_users // 2)):
            return False
        self._open[uid] += 1
        return True

    def leave(self, uid: int | None) -> None:
        """Forget a connection that `enter` counted."""
        self._open[uid] -= 1
        if not self._open[uid]:
            del self._open[uid]
