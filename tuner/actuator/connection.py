"""The session's end of the connection to an actuator: one request at a time, a heartbeat in between."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Mapping
from typing import IO, Any

from tuner.actuator.channel import Channel, ChannelClosedError, ChannelTimeoutError, LineTooLongError
from tuner.actuator.protocol import MAX_REPLY, VERSION, error_from_json, malformed, parse_line, request_line
from tuner.actuator.transport import Link
from tuner.errors import (
    BoardLostError,
    BoardProtocolError,
    BoardUnreachableError,
    PermissionDeniedError,
    TunerError,
)

#: The board puts itself back when it has heard nothing for so long.
HEARTBEAT_S = 20.0
#: Longest time until a reply, the first one included: a board has to be probed, a session's rest put back.
_REPLY_S = 60.0
_STDERR_TAIL = 1 << 13
_CHUNK = 1 << 12
_LONGEST_LINE = 300
#: How much a login shell may print before the board's side speaks.
_NOISE_LINES = 200
_GONE_S = 5.0


class Connection:
    """Talks to an actuator. Safe to use from several threads.

    Args:
        link: The way to it.
        where: The board's address, for messages.
        heartbeat_s: The board hears from us at least this often, or puts itself back; None for never.

    Attributes:
        hello: What the actuator said first: version, the board and all that it has.
    """

    def __init__(self, link: Link, where: str, heartbeat_s: float | None = HEARTBEAT_S) -> None:
        self._link, self._where = link, where
        self._channel = Channel(link.read_fd, link.write_fd, MAX_REPLY)
        self._lock = threading.Lock()
        self._last_id = 0
        self._stderr = _Tail(link.process)
        self._greeted = False
        self._lost: TunerError | None = None
        self._closed = threading.Event()
        try:
            self.hello = self.request("hello", version=VERSION, heartbeat_s=heartbeat_s)
        except BaseException:
            self.close()
            raise
        self._greeted = True
        if heartbeat_s is not None:
            threading.Thread(target=self._beat, args=(heartbeat_s / 4,), daemon=True).start()

    @property
    def lost(self) -> bool:
        """Whether the connection broke."""
        return self._lost is not None

    def request(self, do: str, **fields: Any) -> Mapping[str, Any]:
        """Ask for something and return the reply.

        Raises:
            BoardLostError: the connection broke, now or before; the board puts itself back.
            BoardUnreachableError, PermissionDeniedError: it broke before the board's side spoke.
            TunerError: what the board's side answers.
        """
        with self._lock:
            if self._lost is not None:
                raise type(self._lost)(self._lost.what, self._lost.hint)
            self._last_id += 1
            try:
                with contextlib.suppress(ChannelClosedError):  # one who hangs up may have said why before
                    self._channel.send(request_line(self._last_id, do, fields), _REPLY_S)
                reply = self._reply()
            except (ChannelClosedError, ChannelTimeoutError) as error:
                self._lost = self._why_lost(isinstance(error, ChannelTimeoutError))
                raise self._lost from error
            except LineTooLongError as error:
                raise malformed("of the board is too long") from error
        if "error" in reply:
            raise error_from_json(reply["error"])
        value = reply.get("ok")
        if not isinstance(value, dict):
            raise malformed("of the board is no reply")
        return value

    def close(self) -> None:
        """Hang up; the board's side puts everything back. Waits until it has."""
        self._closed.set()
        self._link.close()

    def _beat(self, period_s: float) -> None:
        while not self._closed.wait(period_s):
            try:
                self.request("ping")
            except (TunerError, OSError):  # whoever asks next is told
                return

    def _reply(self) -> dict[str, Any]:
        noise = 0
        while True:
            line = self._channel.receive(_REPLY_S)
            assert line is not None
            try:
                data = parse_line(line)
            except BoardProtocolError:
                noise += 1
                if self._greeted or noise > _NOISE_LINES:
                    raise
                continue  # what a login shell's start-up files print comes before anything of ours
            if data.get("id") in (self._last_id, None):
                return data

    def _why_lost(self, silent: bool) -> TunerError:
        """Return the error for a connection that broke, by what the program that carried it said."""
        said = self._stderr.last_line(0.0 if silent else _GONE_S)
        if self._greeted:
            why = f"gave no answer within {_REPLY_S:g} s" if silent else "is gone"
            return BoardLostError(
                f"The connection to '{self._where}' {why}{f' ({said})' if said else ''}.",
                "The board puts itself back by itself; go on with --study when it is reachable again.",
            )
        if "sudo:" in said:
            return PermissionDeniedError(
                f"The user of '{self._where}' may not become root without a password ({said}).",
                "Allow it on the board (a sudoers line with NOPASSWD), or log in as root.",
            )
        return BoardUnreachableError(
            f"'{self._where}' cannot be reached{f': {said}' if said else ''}.",
            "Try the same by hand without a password: ssh -o BatchMode=yes HOST python3 --version.",
        )


class _Tail:
    """The end of what a program says on its standard error, read as it comes so that it never blocks."""

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self._text = b""
        self._thread: threading.Thread | None = None
        if process is not None and process.stderr is not None:
            self._thread = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
            self._thread.start()

    def last_line(self, wait_s: float) -> str:
        """Return the last line with something on it, after the program's end or `wait_s`."""
        self.wait(wait_s)
        lines = [line.strip() for line in self._text.decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")[:_LONGEST_LINE].rstrip(".")

    def wait(self, wait_s: float) -> None:
        """Wait until the program has closed its standard error, at most `wait_s`."""
        if self._thread is not None:
            self._thread.join(wait_s)

    def _read(self, stream: IO[bytes]) -> None:
        while chunk := stream.read(_CHUNK):
            self._text = (self._text + chunk)[-_STDERR_TAIL:]
