"""A workload's helper process, on tuner's side: requests to it, and errors where it crashes, hangs or is silent."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tuner.error_codec import error_from_json
from tuner.errors import BoardLostError, Interrupted, TunerError, WorkloadCrashedError, WorkloadTimeoutError
from tuner.ports import Elsewhere, StopToken
from tuner.printable import last_line
from tuner.strict_json import parse_json

from .service import VARIABLE

_CHUNK = 1 << 16
#: Longest answer, in bytes: the latencies of millions of inferences.
_LONGEST_ANSWER = 64 << 20
_STDERR_TAIL = 1 << 14
#: How long a process that has to end may take before it is killed.
_GRACE_S = 2.0
#: How ssh ends when the connection broke, or could not be made.
_SSH_BROKE = 255


#: Name of a field of an answer -> its type; ``[float]`` is a list of numbers.
Fields = Mapping[str, "type | list[type]"]


class WorkloadProcess:
    """A Python module of this package that serves requests (see `serve`) in a session of its own.

    Args:
        module: Name of the sibling module.
        what: What the process is called in messages ("ONNX Runtime").
        stop: Ends every request early.
        graceful: Whether the child must end what it started itself before it is killed.
        elsewhere: Where it runs; None for this machine.
    """

    def __init__(
        self, module: str, what: str, stop: StopToken, graceful: bool = False, elsewhere: Elsewhere | None = None
    ) -> None:
        self._what = what
        self._stop = stop
        self._graceful = graceful
        self._output = bytearray()
        self._stderr = b""
        self._elsewhere = elsewhere is not None
        name = f"{__package__}.{module}"
        self.process = elsewhere.start_program(name) if elsewhere else _start(module)
        self._selector = selectors.DefaultSelector()
        watched = [self.process.stdout, self.process.stderr, *([stop] if stop.fileno() >= 0 else [])]
        for stream in watched:
            assert stream is not None
            self._selector.register(stream, selectors.EVENT_READ, stream)

    @property
    def is_open(self) -> bool:
        """Whether it can be asked: it was neither closed nor found dead."""
        return self.process.stdin is not None and not self.process.stdin.closed

    def ask(self, request: Mapping[str, Any], timeout_s: float, answers: Fields) -> dict[str, Any]:
        """Send a request and return its answer, which has the fields `answers`, each of its type.

        Raises:
            Interrupted: a stop was asked for; the child is killed.
            WorkloadTimeoutError: no answer in time; the child is killed.
            WorkloadCrashedError: the child ended, or gave no answer that can be one.
            BoardLostError: so did the connection to the board that it ran on.
            TunerError: what the child answered, of the class that it named.
        """
        assert self.process.stdin is not None
        deadline_s = time.monotonic() + timeout_s
        with suppress(BrokenPipeError):  # a dead child shows in its output's end
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        answer = None
        while answer is None:
            searched = 0
            while (end := self._output.find(b"\n", searched)) < 0:
                searched = len(self._output)
                self._wait(deadline_s, timeout_s)
            answer = self._parsed(bytes(self._output[:end]))
            del self._output[: end + 1]
        if "error" in answer:
            raise self._error(answer)
        if not all(_is_a(answer.get(name), kind) for name, kind in answers.items()):
            raise self._nonsense()
        return answer

    def _parsed(self, line: bytes) -> dict[str, Any] | None:
        """Return an answer; None for what a login shell on a board prints before the child starts."""
        try:
            answer = parse_json(line)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
        if self._elsewhere:
            return None
        raise self._nonsense()

    def _error(self, answer: Mapping[str, Any]) -> TunerError:
        try:
            return error_from_json(answer)
        except ValueError:
            return self._nonsense()

    def _nonsense(self) -> TunerError:
        self.close()
        return WorkloadCrashedError(
            f"{self._what} answered what is no answer.{self._last_words()}",
            "Try it outside the tuner under the same options; the process was killed.",
        )

    def _wait(self, deadline_s: float, timeout_s: float) -> None:
        """Take in what the child printed next."""
        ready = self._selector.select(max(0.0, deadline_s - time.monotonic()))
        if self._stop.is_set():
            self.close()
            raise Interrupted("The session was stopped.")
        if not ready:
            self.close()
            raise WorkloadTimeoutError(
                f"{self._what} gave no answer within {timeout_s:g} s.{self._last_words()}",
                "Raise --timeout if it is only slow; the process was killed.",
            )
        ended = False
        for key, _ in ready:
            if key.data is self.process.stdout:
                chunk = os.read(key.fd, _CHUNK)
                self._output += chunk
                if len(self._output) > _LONGEST_ANSWER:
                    raise self._nonsense()
                ended = not chunk
            elif key.data is self.process.stderr:
                self._take_stderr(key.fd)
        if ended:
            raise self._crash()

    def _take_stderr(self, fd: int) -> bytes:
        chunk = os.read(fd, _CHUNK)
        if not chunk:
            self._selector.unregister(fd)
        self._stderr = (self._stderr + chunk)[-_STDERR_TAIL:]
        return chunk

    def _crash(self) -> TunerError:
        with suppress(subprocess.TimeoutExpired):
            # Its output has ended, so that it is dead or about to be.
            self.process.wait(_GRACE_S)
        stderr = self.process.stderr
        if stderr is not None and stderr.fileno() in self._selector.get_map():
            os.set_blocking(stderr.fileno(), False)
            with suppress(BlockingIOError):
                while self._take_stderr(stderr.fileno()):
                    pass
        code = self.process.poll()
        self.close()
        if self._elsewhere and code == _SSH_BROKE:
            return BoardLostError(
                f"The connection to the board's workload broke.{self._last_words()}",
                "The board puts itself back; wait until it is reachable again.",
            )
        return WorkloadCrashedError(
            f"{self._what} {describe_exit(code)}.{self._last_words()}",
            "Try it outside the tuner under the same options; its trial counts as failed.",
        )

    def _last_words(self) -> str:
        line = last_line(self._stderr)
        return f" It last said: {line}" if line else ""

    def close(self) -> None:
        """End the child and everything in its session; never raises for a dead one."""
        if self.process.stdin is None or not self.is_open:
            return
        with suppress(OSError):
            self.process.stdin.close()
        if self._graceful:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_GRACE_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._selector.close()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _start(module: str) -> subprocess.Popen[bytes]:
    # One BLAS thread: the child only needs numpy to hold arrays, and starting a pool takes time.
    # A safe path: no module of the directory that one happens to be in.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    command = [f"{__package__}.{module}", str(os.getpid())]
    service = os.environ.get(VARIABLE)
    if service:  # it runs there, as a user of its own
        command = [f"{__package__}.service", "ask", service, module]
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        bufsize=0,
    )


def describe_exit(code: int | None) -> str:
    """Return "was killed by SIGSEGV" or "ended with exit status 3" for a return code of `Popen`."""
    if code is None:
        return "closed its output"
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _is_a(value: object, kind: type | list[type]) -> bool:
    if isinstance(kind, list):
        return isinstance(value, list) and all(_is_a(one, kind[0]) for one in value)
    if kind is float:  # JSON writes a whole one without its point
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind
