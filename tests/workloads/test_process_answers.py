"""What a workload's helper answers, whatever it is: taken, or a typed error; the helper is then dead."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tuner.config.values import Settings
from tuner.error_codec import error_to_json
from tuner.errors import TunerError, UnknownModelError, WorkloadCrashedError
from tuner.opening import default_context
from tuner_plugins.workloads import process

FIELDS: process.Fields = {"latencies_s": [float], "providers": [str], "status": int}
GOOD = b'{"latencies_s": [1, 0.5], "providers": ["a"], "status": 0}\n'


class Printing:
    """A helper that prints bytes at once and waits for the end of its input."""

    def __init__(self, printed: bytes) -> None:
        self._printed = printed

    def start_program(self, module: str) -> subprocess.Popen[bytes]:
        """Start it."""
        program = f"import sys; sys.stdout.buffer.write({self._printed!r}); sys.stdout.flush(); sys.stdin.read()"
        return _python("-c", program)


class Endless:
    """A helper that prints without an end and without a new line."""

    def start_program(self, module: str) -> subprocess.Popen[bytes]:
        """Start it."""
        return subprocess.Popen(
            ["/bin/cat", "/dev/zero"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )


def _python(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-S", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )


def asked(helper: Any, here: pytest.MonkeyPatch | None = None) -> dict[str, Any]:
    """Ask a helper on a board, or `here`."""
    if here is not None:
        here.setattr(process, "_start", helper.start_program)
    made = process.WorkloadProcess(
        "x", "The helper", default_context(Settings()).stop, elsewhere=None if here else helper
    )
    try:
        return made.ask({"do": "run"}, 60.0, FIELDS)
    finally:
        made.close()
        assert made.process.returncode is not None


NONSENSE = {
    "nested deeply": b"[" * 20_000 + b"\n",
    "an object nested deeply": b'{"a":' * 20_000 + b"\n",
    "1e400": b'{"latencies_s": [1e400], "providers": [], "status": 0}\n',
    "NaN": b'{"latencies_s": [NaN], "providers": [], "status": 0}\n',
    "5000 digits": b'{"latencies_s": [1], "providers": [], "status": ' + b"9" * 5000 + b"}\n",
    "no UTF-8": b"\xff\xfe\n",
    "a list": b"[]\n",
    "nothing": b"{}\n",
    "another type": b'{"latencies_s": ["a"], "providers": [], "status": 0}\n',
    "true for a number": b'{"latencies_s": [], "providers": [], "status": true}\n',
    "an error without a sentence": b'{"error": "DeviceError"}\n',
    "an error without a class": b'{"error": 7, "what": "W."}\n',
    "an error with another exit code": b'{"error": "DeviceError", "what": "W.", "exit_code": 0}\n',
}


@pytest.mark.parametrize("what", NONSENSE)
def test_an_answer_that_is_none_is_a_crash(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkloadCrashedError, match="no answer"):
        asked(Printing(NONSENSE[what]), monkeypatch)


def test_an_answer_without_an_end_is_refused_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LONGEST_ANSWER", 1 << 20)
    with pytest.raises(WorkloadCrashedError, match="no answer"):
        asked(Endless(), monkeypatch)


def test_what_a_login_shell_prints_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(Printing(b"Welcome\n2026\n" + NONSENSE["nested deeply"] + GOOD))["latencies_s"] == [1, 0.5]


def test_an_error_arrives_as_the_error_that_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.dumps(error_to_json(UnknownModelError("rtt", ["rt"]))).encode() + b"\n"
    with pytest.raises(UnknownModelError, match=r"no performance model 'rtt'\. Did you mean rt"):
        asked(Printing(said), monkeypatch)


def test_an_error_that_is_not_known_here_is_an_error_all_the_same() -> None:
    with pytest.raises(TunerError, match=r"^W\.$"):
        asked(Printing(b'{"error": "__import__", "what": "W."}\n'))
