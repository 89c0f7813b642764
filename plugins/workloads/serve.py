"""The helper process's side of the JSON-lines protocol. Few imports, so that it starts fast."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any, Callable, Mapping  # noqa: UP035 - subscripted at run time by a board's Python 3.8

from tuner.error_codec import error_to_json
from tuner.errors import TunerError
from tuner.strict_json import parse_json

_PR_SET_PDEATHSIG = 1

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def serve(handlers: Mapping[str, Handler], parent_pid: int | None) -> None:
    """Answer one JSON line per request line on standard input, until that ends.

    A request is ``{"do": <handler>, ...}``; the answer is the handler's value, or ``{"error": class name,
    "what": ..., "hint": ...}`` for a `TunerError`. Whatever else the process prints to standard output
    goes to standard error, where it cannot be taken for an answer.

    Args:
        handlers: Name -> function.
        parent_pid: Process with which the kernel ends this one. None where the end of standard input
            must be enough, because this process has others to end first.
    """
    if parent_pid is not None:
        die_with(parent_pid)
    # Ctrl-C is the tuner's to handle; a terminal does not send it here anyway (own session).
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    while line := sys.stdin.buffer.readline():
        request: dict[str, Any] = parse_json(line)
        try:
            answer = handlers[request.pop("do")](request)
        except TunerError as error:
            answer = error_to_json(error)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere the end of input does)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the call
        os._exit(1)
