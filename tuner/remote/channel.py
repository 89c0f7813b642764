"""Lines over a pair of descriptors: bounded in length, with a time limit, for one reader and one writer."""

from __future__ import annotations

import os
import select
import time
from typing import Callable, Mapping  # noqa: UP035 - subscripted at run time by Python 3.8

_CHUNK = 1 << 16

#: What is called when another descriptor than the channel's is readable while it waits.
Watched = Mapping[int, Callable[[], bool]]


class ChannelClosedError(Exception):
    """The other end is gone."""


class ChannelTimeoutError(Exception):
    """Nothing came, or nothing was taken, in time."""


class LineTooLongError(Exception):
    """A line over the limit; it was dropped, the next one can be received."""


class Channel:
    """One end of a connection.

    Args:
        read_fd: Where lines come from.
        write_fd: Where lines go; made non-blocking, so that a peer that stops reading cannot hold us.
        limit: Longest line that is taken, in bytes.
    """

    def __init__(self, read_fd: int, write_fd: int, limit: int) -> None:
        self._read_fd, self._write_fd, self._limit = read_fd, write_fd, limit
        self._buffer = b""
        self._dropping = False
        os.set_blocking(write_fd, False)

    def receive(self, timeout_s: float | None = None, watched: Watched | None = None) -> bytes | None:
        """Return the next line without its newline; None where a watched descriptor's call said to stop.

        Raises:
            ChannelClosedError, ChannelTimeoutError, LineTooLongError.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        others = watched or {}
        while True:
            line = self._take()
            if line is not None:
                return line
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            ready, _, _ = select.select([self._read_fd, *others], [], [], left_s)
            if not ready:
                raise ChannelTimeoutError
            if self._read_fd in ready:  # first: a peer that is gone keeps no other waiting
                self._read()
            for descriptor in ready:
                if descriptor != self._read_fd and others[descriptor]():
                    return None

    def send(self, line: bytes, timeout_s: float) -> None:
        """Send a line that ends in a newline.

        Raises:
            ChannelClosedError, ChannelTimeoutError.
        """
        deadline_s = time.monotonic() + timeout_s
        while line:
            try:
                line = line[os.write(self._write_fd, line) :]
            except BlockingIOError:
                left_s = max(0.0, deadline_s - time.monotonic())
                if not select.select([], [self._write_fd], [], left_s)[1]:
                    raise ChannelTimeoutError from None
            except OSError as error:
                raise ChannelClosedError from error

    def _read(self) -> None:
        try:
            chunk = os.read(self._read_fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            raise ChannelClosedError from error
        if not chunk:
            raise ChannelClosedError
        self._buffer += chunk

    def _take(self) -> bytes | None:
        """Return a whole line of what was read, None where there is none yet."""
        line, newline, rest = self._buffer.partition(b"\n")
        if newline:
            self._buffer = rest
            if self._dropping:
                self._dropping = False
                raise LineTooLongError
            if len(line) >= self._limit:
                raise LineTooLongError
            return line
        if len(line) >= self._limit:
            self._buffer, self._dropping = b"", True
        return None
