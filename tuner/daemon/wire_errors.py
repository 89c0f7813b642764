"""Errors on their way over the socket: class <-> HTTP status and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tuner import errors
from tuner.daemon.models import ErrorBody
from tuner.errors import TunerError

_STATUS: tuple[tuple[type[TunerError], int], ...] = (
    (errors.UnknownSessionError, 404),
    (errors.UnknownProfileError, 404),
    (errors.PermissionDeniedError, 403),
    (errors.SessionStateError, 409),
    (errors.DeviceBusyError, 409),
    (errors.RequestError, 400),
    (errors.DaemonBusyError, 503),
    (errors.DiskFullError, 507),
    (errors.VerifyError, 502),
    (errors.RestoreError, 502),
    (errors.DeviceError, 502),
    (errors.StorageError, 500),
)
#: What is wrong with the rest is what was asked for.
UNPROCESSABLE = 422


def status_of(error: TunerError) -> int:
    """Return the HTTP status of an error."""
    if type(error) is TunerError:
        return 500
    return next((status for kind, status in _STATUS if isinstance(error, kind)), UNPROCESSABLE)


def body_of(error: TunerError) -> ErrorBody:
    """Return an error as JSON-able model."""
    return ErrorBody(error=type(error).__name__, what=error.what, hint=error.hint, exit_code=error.exit_code)


def error_of(body: Mapping[str, Any]) -> TunerError:
    """Return the typed error that `body` tells of; a plain `TunerError` for a kind unknown here."""
    kind = _kinds().get(str(body.get("error")), TunerError)
    made = kind.__new__(kind)  # names' errors build their sentence anew, and this one is complete
    Exception.__init__(made, body.get("what", ""))
    made.what, made.hint = str(body.get("what", "")), str(body.get("hint", ""))
    made.exit_code = int(body.get("exit_code", kind.exit_code))
    return made


def _kinds() -> dict[str, type[TunerError]]:
    return {kind.__name__: kind for kind in _leaves(TunerError)}


def _leaves(kind: type[TunerError]) -> Iterator[type[TunerError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _leaves(below)
