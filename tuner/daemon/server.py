"""`tuner daemon`: from settings to a running service, and its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from tuner import __version__, paths
from tuner.config.settings import given
from tuner.config.values import Settings
from tuner.control.lock import DeviceLock
from tuner.daemon.access import Policy, gid_of
from tuner.daemon.app import Service, create_app
from tuner.daemon.connections import ACCEPTED_AT_ONCE, most_connections
from tuner.daemon.files import SessionFiles
from tuner.daemon.gate import LONGEST_HEAD, Gate, GateProtocol
from tuner.daemon.listening import BACKLOG, close_socket, open_socket, open_tcp, read_token
from tuner.daemon.log_rate import set_up_log
from tuner.daemon.notify import Watchdog
from tuner.daemon.profile_store import ProfileStore
from tuner.daemon.shortage import is_shortage
from tuner.daemon.supervisor import Supervisor
from tuner.daemon.tasks import Tasks
from tuner.errors import DaemonRunningError, DeviceBusyError, UsageError
from tuner.profiles.kept import profiles_dir

KEEP_ALIVE_S = 30
#: How long answers that are under way may take when the daemon ends.
LAST_ANSWERS_S = 3

_log = logging.getLogger("tuner.daemon")


class _Server(uvicorn.Server):
    """uvicorn without its ten wake-ups a second, and with signals that are ours.

    Its `backlog` is also how many connections it accepts in one turn: a flood of them would take all handles
    before one is refused. The kernel's queue is made as long again as it was.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._over = asyncio.Event()

    def end(self) -> None:
        """Let `serve` return."""
        self.should_exit = True
        self._over.set()

    async def main_loop(self) -> None:
        """Wait for the end."""
        for server in self.servers:
            for listening in server.sockets:
                os_socket = socket.socket(fileno=os.dup(listening.fileno()))
                os_socket.listen(BACKLOG)
                os_socket.close()
        await self._over.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the daemon has its own way down."""
        yield


def run_daemon(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        DaemonRunningError: another daemon owns the state directory or answers at the socket.
        UsageError, PermissionDeniedError: the sockets cannot be made as the settings say.
    """
    set_up_log()
    signal.signal(signal.SIGTERM, _leave)  # until the loop takes over: the socket must not stay
    with _owned(paths.state_dir()), contextlib.ExitStack() as stack:
        gid = gid_of(settings.group)
        path = Path(settings.socket)
        sockets = [stack.enter_context(contextlib.closing(open_socket(path, gid)))]
        stack.callback(close_socket, path, path.lstat())
        token = _token(settings)
        if settings.listen:
            sockets.append(stack.enter_context(contextlib.closing(open_tcp(settings.listen))))
        if gid is None:
            _log.warning("there is no group '%s': only root and this user may connect", settings.group)
        policy = Policy(gid, os.geteuid(), frozenset(settings.root_only_workloads), token is not None)
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


def _token(settings: Settings) -> str | None:
    """Return the token of TCP clients.

    Raises:
        UsageError: TCP is asked for without one.
    """
    if settings.token_file:
        return read_token(Path(settings.token_file))
    if settings.listen:
        raise UsageError("TCP needs a token.", "Write a secret into a file of mode 0600 and name it with --token-file.")
    return None


async def _serve(settings: Settings, policy: Policy, token: str | None, sockets: list[socket.socket]) -> None:
    files = SessionFiles(paths.state_dir("daemon", "sessions").absolute())
    flags = ["--socket", settings.socket] if given(settings, "client") else []
    own = {"board": settings.board, "sysroot": settings.sysroot}
    supervisor = Supervisor(files, settings.device, own, settings.stop_grace, flags)
    service = Service(
        supervisor=supervisor,
        profiles=ProfileStore(profiles_dir()),
        tasks=Tasks(settings.sysroot),
        policy=policy,
        device=settings.device,
        started_s=time.monotonic(),
    )
    server = _Server(
        uvicorn.Config(
            Gate(create_app(service), policy, token, most_connections()),
            http=GateProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=LONGEST_HEAD,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=LAST_ANSWERS_S,
            backlog=ACCEPTED_AT_ONCE,
        )
    )
    manager = Watchdog()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_note)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    supervisor.start()
    serving = asyncio.create_task(server.serve(sockets))
    feeding = asyncio.create_task(manager.feed(supervisor.tend, lambda: _status(supervisor)))
    manager.tell("READY=1")
    _log.info("tuner %s answers at %s", __version__, settings.socket)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
    manager.tell("STOPPING=1")
    _log.info("stopping: sessions are suspended and their devices put back")
    await supervisor.close()
    feeding.cancel()
    server.end()
    await serving


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong in the loop; a shortage of handles is one line."""
    error = context.get("exception")
    if isinstance(error, OSError) and is_shortage(error):
        _log.warning("%s: %s", context.get("message"), error)
    else:
        _log.error("%s", context.get("message"), exc_info=error)


def _status(supervisor: Supervisor) -> str:
    counts = Counter(r.state for r in supervisor.all() if not r.ended)
    return ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "idle"
