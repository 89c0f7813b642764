"""How the session reaches a board: a program at the other end of ssh (or of any command), or a Unix socket.

``ssh://[user@]host[:port]`` runs OpenSSH's client; ``exec:[COMMAND]`` runs the board's side by this machine's shell, or
by ``COMMAND sh -c ...`` (``exec:docker exec -i board``); ``unix:PATH`` talks to an actuator that is a service.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuner.errors import BoardUnreachableError, BoardUnsupportedError, MissingDependencyError, UsageError

#: Seconds until ssh gives up connecting; until it calls a silent connection dead (interval times count).
_CONNECT_S, _ALIVE_INTERVAL_S, _ALIVE_COUNT = 10, 5, 3
#: Seconds that a program has to end.
_END_S = 10
_OLDEST = (3, 8)
_PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 7, -1)))
# Nothing that begins with a dash, which ssh would take for an option.
_DESTINATION = re.compile(r"([A-Za-z0-9_][\w.-]*@)?([A-Za-z0-9][\w.-]*|\[[\w:.%-]+\])(:[0-9]+)?", re.ASCII)

# Read the archive from standard input to its last byte and no further, then run it out of memory.
_BOOT = """
import os, sys
def take(n):
    data = b""
    while len(data) < n:
        part = os.read(0, n - len(data))
        if not part:
            sys.exit("tuner: the connection ended too early")
        data += part
    return data
data = take(int.from_bytes(take(8), "big"))
place = os.memfd_create("tuner")
while data:
    data = data[os.write(place, data):]
sys.path.insert(0, "/proc/self/fd/%d" % place)
from tuner.remote.main import main
sys.exit(main())
"""


@dataclass(frozen=True, kw_only=True)
class Link:
    """An open way to something on the board.

    Attributes:
        read_fd: Where its lines come from.
        write_fd: Where ours go.
        hang_up: Says that nothing more comes; what runs on the board then puts it back and hangs up, too.
        close: Ends it.
        process: The local program that carries them; None for a socket.
    """

    read_fd: int
    write_fd: int
    hang_up: Callable[[], None]
    close: Callable[[], None]
    process: subprocess.Popen[bytes] | None = None


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a board is.

    Attributes:
        text: As the user wrote it.
        prefix: Command that takes a shell line as its last argument; empty for a socket.
        socket_path: Of an actuator that is a service; ``""`` for a command.
        is_local: The shell line runs on this machine, under this very Python.
        sudo: Root's rights are taken by ``sudo -n`` where the user who logs in is not root.
    """

    text: str
    prefix: tuple[str, ...] = ()
    socket_path: str = ""
    is_local: bool = False
    sudo: bool = False

    def connect(self, archive: bytes, arguments: Sequence[str]) -> Link:
        """Start the actuator on the board, as root where the user may by ``sudo -n``; or connect to it.

        Raises:
            BoardUnreachableError, MissingDependencyError: that cannot be done.
        """
        if self.socket_path:
            return _socket_link(self.socket_path)
        process = self._spawn(archive, arguments, privileged=self.sudo)
        assert process.stdin is not None
        assert process.stdout is not None
        return Link(
            read_fd=process.stdout.fileno(),
            write_fd=process.stdin.fileno(),
            process=process,
            hang_up=process.stdin.close,
            close=lambda: end(process),
        )

    def start_program(self, archive: bytes, module: str) -> subprocess.Popen[bytes]:
        """Start a workload's helper program on the board, as the user who logs in.

        Raises:
            BoardUnsupportedError: the board is a socket, which runs no programs.
            MissingDependencyError: no ssh here.
        """
        if self.socket_path:
            raise BoardUnsupportedError(
                f"'{self.text}' sets options only: nothing can be run there.", "Run the workload on this machine."
            )
        return self._spawn(archive, ["--program", module], privileged=False)

    def _spawn(self, archive: bytes, arguments: Sequence[str], privileged: bool) -> subprocess.Popen[bytes]:
        command = [*self.prefix, f"exec sh -c {shlex.quote(_shell_line(arguments, privileged, self.is_local))}"]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise MissingDependencyError(
                f"'{command[0]}' cannot be run: {error.strerror}.", "Install it (ssh: openssh-client)."
            ) from error
        assert process.stdin is not None
        data = len(archive).to_bytes(8, "big") + archive
        with contextlib.suppress(BrokenPipeError):  # the first request finds out why it died
            while data:
                data = data[process.stdin.write(data) or 0 :]
        return process


def parse_address(text: str) -> Address:
    """Return where ``ssh://[user@]host[:port]``, ``exec:[COMMAND]`` or ``unix:PATH`` leads.

    Raises:
        UsageError: none of those.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "ssh" and _DESTINATION.fullmatch(rest[2:].rstrip("/")) and rest.startswith("//"):
        return Address(text=text, prefix=_ssh_command(rest[2:].rstrip("/")), sudo=True)
    if scheme == "exec":
        with contextlib.suppress(ValueError):
            prefix = shlex.split(rest)
            return Address(text=text, prefix=(*prefix, "sh", "-c"), is_local=not prefix)
    if scheme == "unix" and rest:
        return Address(text=text, socket_path=os.path.abspath(rest))
    raise UsageError(f"'{text}' is no board's address.", "Write ssh://user@host, exec:COMMAND or unix:PATH.")


def _ssh_command(destination: str) -> tuple[str, ...]:
    options = (
        "BatchMode=yes",
        f"ConnectTimeout={_CONNECT_S}",
        f"ServerAliveInterval={_ALIVE_INTERVAL_S}",
        f"ServerAliveCountMax={_ALIVE_COUNT}",
    )
    return ("ssh", "-T", *(word for option in options for word in ("-o", option)), f"ssh://{destination}")


def _shell_line(arguments: Sequence[str], privileged: bool, is_local: bool) -> str:
    """Return the line that finds a Python, takes root's rights where asked, and runs the archive."""
    run = f"-I -S -c {shlex.quote(_BOOT)} {shlex.join(arguments)}"
    if is_local:
        return f"exec {shlex.quote(sys.executable)} {run}"
    test = f"import sys; sys.exit(sys.version_info < {_OLDEST})"
    root = '[ "$(id -u)" = 0 ] || set -- sudo -n; ' if privileged else ""
    return (
        f"for p in {' '.join(_PYTHONS)} ''; do \"$p\" -c {shlex.quote(test)} 2>/dev/null && break; done; "
        "[ \"$p\" ] || { echo 'no Python 3.8 or newer is there' >&2; exit 127; }; "
        f'{root}exec "$@" "$p" {run}'
    )


def _socket_link(path: str) -> Link:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.connect(path)
    except OSError as error:
        made.close()
        raise BoardUnreachableError(
            f"No actuator answers at '{path}': {error.strerror}.", "Start tuner-actuator.service, or check the path."
        ) from error
    return Link(
        read_fd=made.fileno(), write_fd=made.fileno(), hang_up=lambda: made.shutdown(socket.SHUT_WR), close=made.close
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Close a program's input and output and wait until it is gone; never raises for a dead one.

    One that does not end gets SIGTERM (an actuator then puts its board back), and is killed at last.
    """
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
    for insist in (process.terminate, process.kill):
        try:
            process.wait(_END_S)
            return
        except subprocess.TimeoutExpired:
            insist()
    process.wait()
