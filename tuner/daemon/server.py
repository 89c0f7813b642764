"""`tuner daemon`: from settings to a running service, and back down in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from tuner import __version__, paths
from tuner.control.lock import DeviceLock
from tuner.daemon.access import Policy, gid_of
from tuner.daemon.app import Service, create_app
from tuner.daemon.files import SessionFiles
from tuner.daemon.gate import LONGEST_HEAD, Gate, GateProtocol
from tuner.daemon.listening import close_socket, open_socket, open_tcp, read_token
from tuner.daemon.notify import ServiceManager
from tuner.daemon.profile_store import ProfileStore
from tuner.daemon.supervisor import Supervisor
from tuner.daemon.tasks import Tasks
from tuner.errors import DaemonRunningError, DeviceBusyError, UsageError
from tuner.printable import printable, traceback_lines
from tuner.profiles.kept import profiles_dir

#: Connections at a time.
MOST_CONNECTIONS = 128
KEEP_ALIVE_S = 30
#: How long answers that are under way may take when the daemon ends.
LAST_ANSWERS_S = 3

_log = logging.getLogger("tuner.daemon")


class _Server(uvicorn.Server):
    """uvicorn without its ten wake-ups a second, and with signals that are ours."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._over = asyncio.Event()

    def end(self) -> None:
        """Let `serve` return."""
        self.should_exit = True
        self._over.set()

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self._over.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the daemon has its own way down."""
        yield


class PrintableFormatter(logging.Formatter):
    """Writes a record on one line without control characters, and each line of a traceback below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the record's line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the traceback's lines."""
        return "\n".join(traceback_lines(ei[1]))


def run_daemon(settings: Mapping[str, Any]) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        DaemonRunningError: another daemon owns the state directory or answers at the socket.
        UsageError, PermissionDeniedError: the sockets cannot be made as the settings say.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _leave)  # until the loop takes over: the socket must not stay
    with _owned(paths.state_dir()), contextlib.ExitStack() as stack:
        gid = gid_of(settings["group"])
        path = Path(settings["socket"])
        sockets = [stack.enter_context(contextlib.closing(open_socket(path, gid)))]
        stack.callback(close_socket, path, path.lstat())
        token = _token(settings)
        if settings["listen"]:
            sockets.append(stack.enter_context(contextlib.closing(open_tcp(settings["listen"]))))
        if gid is None:
            _log.warning("there is no group '%s': only root and this user may connect", settings["group"])
        policy = Policy(gid, os.geteuid(), frozenset(settings["root_only_workloads"]), token is not None)
        asyncio.run(_serve(settings, policy, token, sockets))


def _leave(number: int, frame: object) -> None:
    raise SystemExit(0)


@contextlib.contextmanager
def _owned(state: Path) -> Iterator[None]:
    """Own the state directory.

    Raises:
        DaemonRunningError: another daemon does; names it.
    """
    lock = DeviceLock(state, "daemon")
    try:
        lock.acquire()
    except DeviceBusyError as error:
        owner = lock.owner_pid()
        raise DaemonRunningError(
            f"Another daemon{f' (process {owner})' if owner else ''} owns {state}.",
            "Stop it (`systemctl stop tuner`), or set TUNER_STATE_DIR to another directory.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _token(settings: Mapping[str, Any]) -> str | None:
    """Return the token of TCP clients.

    Raises:
        UsageError: TCP is asked for without one.
    """
    if settings["token_file"]:
        return read_token(Path(settings["token_file"]))
    if settings["listen"]:
        raise UsageError(
            "TCP needs a token.",
            "Write a secret into a file of mode 0600 and name it with --token-file.",
        )
    return None


async def _serve(
    settings: Mapping[str, Any], policy: Policy, token: str | None, sockets: list[socket.socket]
) -> None:
    files = SessionFiles(paths.state_dir().absolute() / "daemon" / "sessions")
    supervisor = Supervisor(files, settings["device"], settings["board"])
    service = Service(
        supervisor, ProfileStore(profiles_dir()), Tasks(), policy, settings["device"],
        time.monotonic(),
    )  # fmt: skip
    server = _Server(
        uvicorn.Config(
            Gate(create_app(service), policy, token), http=GateProtocol, ws="none", lifespan="off",
            loop="asyncio", log_config=None, access_log=False, server_header=False, date_header=False,
            proxy_headers=False, h11_max_incomplete_event_size=LONGEST_HEAD, timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=LAST_ANSWERS_S, limit_concurrency=MOST_CONNECTIONS,
        )
    )  # fmt: skip
    manager = ServiceManager()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    supervisor.start()
    serving = asyncio.create_task(server.serve(sockets))
    feeding = asyncio.create_task(manager.feed(supervisor.stalled, lambda: _status(supervisor)))
    manager.ready()
    _log.info("tuner %s answers at %s", __version__, settings["socket"])
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
    manager.stopping()
    _log.info("stopping: sessions are suspended and their devices put back")
    await supervisor.close()
    feeding.cancel()
    server.end()
    await serving


def _status(supervisor: Supervisor) -> str:
    counts = Counter(r.state for r in supervisor.all() if not r.ended)
    return ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "idle"
