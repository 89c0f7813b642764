"""Whether a daemon is there. Imports almost nothing, since every `tuner start` and `status` asks."""

from __future__ import annotations

import os
import socket

from tuner.errors import PermissionDeniedError


def daemon_answers(path: str) -> bool:
    """Return whether a daemon listens at `path`.

    Raises:
        PermissionDeniedError: one does, and we may not.
    """
    if not os.path.exists(path):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5.0)
        try:
            probe.connect(path)
        except PermissionError as error:
            raise PermissionDeniedError(
                f"You may not use the daemon at {path}.", "Ask for membership of its group, or use --foreground."
            ) from error
        except BlockingIOError:  # more wait to be let in than the kernel takes: it is there
            return True
        except OSError:
            return False
    return True
