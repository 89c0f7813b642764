"""The process that starts a command, times it and ends all that it leaves behind.

Run as ``python -m tuner_plugins.workloads.command.child PARENT_PID``; request ``run``. It is small, so
that a start costs little next to the command, and it ends the command when its standard input ends: that
is, also when the tuner was killed.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any

from ..serve import serve

_CHUNK = 1 << 16
#: How much of each output stream's end is kept.
_TAIL = 1 << 16


def run(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run ``line`` by ``/bin/sh -c`` with ``env`` added; answer how it ended.

    Returns:
        ``status`` as `Popen.returncode`, ``timed_out``, ``wall_s``, and the ends of ``stdout`` and
        ``stderr``.
    """
    began_s = perf_counter()
    process = subprocess.Popen(
        ["/bin/sh", "-c", request["line"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **request["env"]},
        start_new_session=True,
        bufsize=0,
    )
    streams = {"stdout": process.stdout, "stderr": process.stderr}
    tails = dict.fromkeys(streams, b"")
    exited = _exit_descriptor(process)
    try:
        with selectors.DefaultSelector() as selector:
            for name, stream in streams.items():
                assert stream is not None
                selector.register(stream, selectors.EVENT_READ, name)
            selector.register(exited, selectors.EVENT_READ, "exit")
            selector.register(0, selectors.EVENT_READ, "tuner")
            ended_s, timed_out = _follow(process, selector, tails, began_s + request["timeout_s"])
        _kill_group(process)
        process.wait()
        for name, stream in streams.items():
            _drain(stream, name, tails)
    finally:
        os.close(exited)
    return {
        "status": process.returncode,
        "timed_out": timed_out,
        "wall_s": ended_s - began_s,
        **{name: tail.decode(errors="replace") for name, tail in tails.items()},
    }


def _follow(
    process: subprocess.Popen[bytes], selector: selectors.BaseSelector, tails: dict[str, bytes], deadline_s: float
) -> tuple[float, bool]:
    """Read outputs until the command exits; return when that was and whether its time was up."""
    while True:
        ready = {key.data: key for key, _ in selector.select(max(0.0, deadline_s - perf_counter()))}
        now_s = perf_counter()
        if "tuner" in ready:  # no request comes before the answer: it is the end of input
            _kill_group(process)
            process.wait()  # who waits for this process to end must find the command dead
            os._exit(0)
        for name in tails:
            if name in ready:
                chunk = os.read(ready[name].fd, _CHUNK)
                tails[name] = (tails[name] + chunk)[-_TAIL:]
                if not chunk:
                    selector.unregister(ready[name].fileobj)
        if "exit" in ready:
            return now_s, False
        if now_s >= deadline_s:
            return now_s, True


def _exit_descriptor(process: subprocess.Popen[bytes]) -> int:
    """Return a descriptor that becomes readable when the process exits (pipes may outlive it)."""
    with suppress(OSError, AttributeError):
        return os.pidfd_open(process.pid)
    # Linux before 5.3, as on the older Jetsons: a thread waits without reaping.
    read, write = os.pipe()

    def wait() -> None:
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        os.close(write)

    threading.Thread(target=wait, daemon=True).start()
    return read


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _drain(stream: Any, name: str, tails: dict[str, bytes]) -> None:
    """Take what is left in a pipe; never waits for a process that fled the group with it."""
    os.set_blocking(stream.fileno(), False)
    with suppress(BlockingIOError):
        while chunk := os.read(stream.fileno(), _CHUNK):
            tails[name] = (tails[name] + chunk)[-_TAIL:]
    stream.close()


def main() -> None:
    """Serve the tuner; the end of standard input says that it is gone."""
    serve({"run": run}, None)


if __name__ == "__main__":
    main()
