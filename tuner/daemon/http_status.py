"""The HTTP status that an error is answered with."""

from __future__ import annotations

from tuner import errors
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
