"""Child processes of workloads: started in a session of their own, heard with a time limit, always ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.errors import Interrupted, WorkloadCrashedError, WorkloadTimeoutError
from tuner.ports import StopToken

_PR_SET_PDEATHSIG = 1
_STDERR_KEPT = 8192


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, so that no workload outlives the tuner."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A process that answers in lines on stdout. Its stderr is kept for what went wrong."""

    def __init__(
        self, command: Sequence[str], what: str, stop: StopToken, env: Mapping[str, str] | None = None
    ) -> None:
        self._what, self._stop = what, stop
        self._out, self._err = b"", b""
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **env} if env else None,
            start_new_session=True,
            preexec_fn=_die_with_parent,
            bufsize=0,
        )

    def send(self, line: str) -> None:
        """Write one line to stdin; a dead child is noticed when its answer is awaited."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line.encode() + b"\n")

    def line(self, timeout_s: float) -> str:
        """Return the next line of stdout.

        Raises:
            WorkloadCrashedError: the process ended without one.
            WorkloadTimeoutError: no line in `timeout_s`; the process is killed.
            Interrupted: a stop was asked for; the process is killed.
        """
        deadline_s = time.monotonic() + timeout_s
        while b"\n" not in self._out:
            if not self._read(deadline_s, timeout_s):
                self.process.wait()
                raise self.crashed()
        line, _, self._out = self._out.partition(b"\n")
        return line.decode(errors="replace")

    def finish(self, timeout_s: float) -> str:
        """Return the rest of stdout once the process has ended by itself; errors as for `line`."""
        deadline_s = time.monotonic() + timeout_s
        while self._read(deadline_s, timeout_s):
            pass
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise self._timed_out(timeout_s) from error
        if self.process.returncode != 0:
            raise self.crashed()
        return self._out.decode(errors="replace")

    def _read(self, deadline_s: float, timeout_s: float) -> bool:
        """Wait for output; False once both streams ended."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        streams = [s for s in (self.process.stdout, self.process.stderr) if not s.closed]
        if not any(s is self.process.stdout for s in streams):
            return False
        watched: list[Any] = [*streams, self._stop] if self._stop.fileno() >= 0 else list(streams)
        ready, _, _ = select.select(watched, [], [], max(0.0, deadline_s - time.monotonic()))
        if not ready:
            raise self._timed_out(timeout_s)
        if self._stop in ready:
            self.kill()
            raise Interrupted("The session was stopped.")
        for stream in streams:
            if stream in ready:
                chunk = stream.read(65536) or b""
                if not chunk:
                    stream.close()
                elif stream is self.process.stdout:
                    self._out += chunk
                else:
                    self._err = (self._err + chunk)[-_STDERR_KEPT:]
        return True

    def _timed_out(self, timeout_s: float) -> WorkloadTimeoutError:
        self.kill()
        return WorkloadTimeoutError(
            f"{self._what} gave no answer within {timeout_s:g} s.",
            "Give it more time with --timeout, or find out why it hangs.",
        )

    def crashed(self) -> WorkloadCrashedError:
        """Return the error that says how the process ended and what it said last."""
        self._drain_stderr()
        code = self.process.returncode
        how = (
            f"was ended by {signal.Signals(-code).name}"
            if code is not None and code < 0
            else f"ended with status {code}"
        )
        said = self.last_words()
        return WorkloadCrashedError(
            f"{self._what} {how}{': ' + said if said else ''}.", "Run it by itself to see why."
        )

    def last_words(self) -> str:
        """Return the last line of stderr."""
        lines = [line.strip() for line in self._err.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""

    def _drain_stderr(self) -> None:
        stream = self.process.stderr
        if stream is None or stream.closed:
            return
        os.set_blocking(stream.fileno(), False)
        self._err = (self._err + (stream.read() or b""))[-_STDERR_KEPT:]

    def kill(self) -> None:
        """End the process and everything that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """End the process if it lives, and free its pipes."""
        self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
