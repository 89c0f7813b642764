"""A workload's process under a user and limits of its own: both ends of the socket of `tuner-workload@.service`.

The tuner's side starts this module where it would start the process itself. It hands its own standard streams over and
waits: requests, answers and last words go directly between the two. When it is killed, the process is, too.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from tuner.strict_json import parse_json

#: Names the socket where there is one; the unit of the daemon sets it.
VARIABLE = "TUNER_WORKLOAD_SOCKET"
#: What can be started; nothing else that a peer may name.
_MODULES = frozenset({"onnx.child", "command.child"})
_LONGEST_REQUEST = 1 << 14


def ask(path: str, module: str) -> int:
    """Have `module` run by the service at `path`; return, or die of, what it ended with."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as service:
        try:
            service.connect(path)
            request = json.dumps({"module": module, "cwd": os.getcwd()}).encode()
            socket.send_fds(service, [request], [0, 1, 2])
            answer = service.recv(64)
        except OSError as error:
            sys.stderr.write(f"no workload can be started at {path}: {error.strerror}\n")
            return 1
    # An end without a word: the service was ended, its process with it.
    code = int(answer) if answer else -signal.SIGKILL
    if code < 0:
        with suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def serve(peer: socket.socket) -> int:
    """Start what a peer asks for on the streams that it hands over, and tell how that ended.

    When the peer goes first, this ends, and systemd ends whatever the process has started.
    """
    data, streams, _, _ = socket.recv_fds(peer, _LONGEST_REQUEST, 3)
    try:
        request = parse_json(data)
        module, folder = str(request["module"]), str(request["cwd"])
    except (ValueError, KeyError, TypeError):
        return 1
    if module not in _MODULES or len(streams) != 3:
        return 1
    os.chdir(folder if os.access(folder, os.X_OK) else "/")
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.{module}", str(os.getpid())],
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"},
    )
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(process.pid)
    ready, _, _ = select.select([ended, peer.fileno()], [], [])
    if ended in ready:
        with suppress(OSError):
            peer.sendall(str(process.wait()).encode())
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """``ask SOCKET MODULE``, or ``serve`` with the connection as standard input."""
    verb, *rest = sys.argv[1:] if argv is None else argv
    if verb == "ask":
        return ask(*rest)
    with socket.socket(fileno=os.dup(0)) as peer:
        return serve(peer)


if __name__ == "__main__":
    sys.exit(main())
