"""Tries to get at things, and prints what came of each attempt: "reached", or the reason.

Runs inside the container, in a unit's sandbox and outside it, by Debian's own Python; standard library only. Takes
``name=kind:argument`` words, prints one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable


def _read(path: str) -> None:
    with open(path, "rb") as file:
        file.read(16)


def _list(path: str) -> None:
    os.listdir(path)


def _overwrite(path: str) -> None:
    """Write what is there already, so that the attempt that comes through changes nothing."""
    with open(path, "r+b", buffering=0) as file:
        text = file.read(4096)
        file.seek(0)
        file.write(text)


def _open(path: str) -> None:
    """Open to write, and write nothing: another process may be writing."""
    open(path, "r+b").close()


def _make(folder: str) -> None:
    path = os.path.join(folder, f".reach-{os.getpid()}")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(path)


def _connect(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect("\0" + path[1:] if path.startswith("@") else path)


def _tcp(address: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.connect((host, int(port)))


def _family(number: str) -> None:
    kind = socket.SOCK_RAW if number in {"16", "17"} else socket.SOCK_DGRAM
    socket.socket(int(number), kind).close()


def _signal(pid: str) -> None:
    os.kill(int(pid), 0)


def _trace(pid: str) -> None:
    """PTRACE_ATTACH and PTRACE_DETACH."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, int(pid), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.waitpid(int(pid), 0x40000000)
    libc.ptrace(17, int(pid), 0, 0)


def _command(line: str) -> None:
    done = subprocess.run(line, shell=True, capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.returncode, (done.stderr or done.stdout).strip()[-200:])


KINDS: dict[str, Callable[[str], None]] = {
    "read": _read,
    "list": _list,
    "overwrite": _overwrite,
    "open": _open,
    "make": _make,
    "connect": _connect,
    "tcp": _tcp,
    "family": _family,
    "signal": _signal,
    "trace": _trace,
    "command": _command,
}


def main() -> None:
    found = {}
    for word in sys.argv[1:]:
        name, _, what = word.partition("=")
        kind, _, argument = what.partition(":")
        try:
            KINDS[kind](argument)
        except OSError as error:
            found[name] = error.strerror or str(error)
        else:
            found[name] = "reached"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
