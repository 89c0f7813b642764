"""A `tuner` command in a forked child: the modules are loaded already, the environment is as bad as a test makes it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

#: CPU seconds and bytes that no command needs for refusing something.
CPU_S, MEMORY_BYTES = 60, 6 << 30
#: What a command that waits (for a lock, a pipe) is given before it counts as hanging.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit status (negative: the signal), what it said."""

    code: int
    out: str
    err: str


Setup = Callable[[], None]


def run(
    arguments: Sequence[str | bytes],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    setup: Setup | None = None,
) -> Ended:
    """Run a command in `folder`; `setup` runs in the child, right before it.

    Raises:
        AssertionError: it hangs.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _be_command(
                [os.fsdecode(a) for a in arguments], folder, environment or {}, setup, out.fileno(), err.fileno()
            )
        code = _end_of(pid, f"tuner {arguments}")
        out.seek(0)
        err.seek(0)
        return Ended(code, out.read().decode(errors="replace"), err.read().decode(errors="replace"))


def _end_of(pid: int, what: str) -> int:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline_s:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"{what} hangs")
        time.sleep(0.005)


def _be_command(
    arguments: list[str], folder: Path, environment: Mapping[str, str], setup: Setup | None, out: int, err: int
) -> NoReturn:
    code = 97
    try:
        os.chdir(folder)
        for name in [n for n in os.environ if n.startswith(("TUNER_", "XDG_"))]:
            del os.environ[name]
        os.environ.update(environment)
        for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(source, target)
        # What the test's process has open is no part of the command's environment: it would count towards its limit.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        if setup is not None:
            setup()
        for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
            setattr(sys, name, _stream(descriptor))
        code = _code_of(arguments)
    finally:
        os._exit(code)


def _stream(descriptor: int) -> TextIO | None:
    """Return what Python makes of a descriptor when it starts: nothing where it is closed."""
    try:
        os.fstat(descriptor)
    except OSError:
        return None
    mode, errors = ("w" if descriptor else "r"), ("backslashreplace" if descriptor == 2 else "strict")
    return os.fdopen(descriptor, mode, closefd=False, encoding="utf-8", errors=errors)


def _code_of(arguments: list[str]) -> int:
    from tuner.cli.main import main

    try:
        main(arguments)
    except SystemExit as end:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        return end.code if isinstance(end.code, int) else 98
    return 98


def without_rights() -> None:
    """Take root's capabilities away: it then has the rights of an owner and no more."""
    libc = ctypes.CDLL(None, use_errno=True)
    version_3, this_process = 0x20080522, 0
    header = (ctypes.c_uint32 * 2)(version_3, this_process)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")
