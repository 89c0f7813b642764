"""The session's end of the connection to an actuator: one request at a time, a heartbeat in between."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

from tuner.errors import BoardLostError, BoardProtocolError, BoardUnreachableError, PermissionDeniedError, TunerError
from tuner.printable import last_line
from tuner.remote.channel import Channel, ChannelClosedError, ChannelTimeoutError, LineTooLongError
from tuner.remote.protocol import ALARM, MAX_REPLY, VERSION, error_of, malformed, parse_line, request_line
from tuner.remote.transport import Link

#: The board puts itself back when it has heard nothing for so long.
HEARTBEAT_S = 20.0
#: Longest time until a reply, the first one included: a board has to be probed, a session's rest put back.
_REPLY_S = 60.0
#: Longest time until a board has put itself back after we hung up.
_RESTORE_S = 30.0
_STDERR_TAIL = 1 << 13
_CHUNK = 1 << 12
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
        on_alarm: Called from a thread when the board's guard saw a hard limit passed, with the reason.
    """

    def __init__(self, link: Link, where: str, heartbeat_s: float | None = HEARTBEAT_S) -> None:
        self._link, self._where = link, where
        self._channel = Channel(link.read_fd, link.write_fd, MAX_REPLY)
        self._lock = threading.Lock()
        self._last_id = 0
        self._greeted = False
        self._lost: TunerError | None = None
        self._closed = threading.Event()
        self.on_alarm: Callable[[str], None] = lambda _reason: None
        self._stderr = _Tail(link.process)
        self._replies: queue.SimpleQueue[dict[str, Any] | Exception] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="board-reader", daemon=True)
        self._reader.start()
        try:
            self.hello = self.request("hello", version=VERSION, heartbeat_s=heartbeat_s)
        except BaseException:
            self.close()
            raise
        self._greeted = True
        if heartbeat_s is not None:
            beat = threading.Thread(target=self._beat, args=(heartbeat_s / 4,), name="board-beat", daemon=True)
            beat.start()

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
        if "error" in reply:
            raise error_of(reply["error"])
        value = reply.get("ok")
        if not isinstance(value, dict):
            raise malformed("of the board is no reply")
        return value

    def close(self) -> None:
        """Hang up, and wait until the board's side, which puts everything back, has hung up as well."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._link.hang_up()
        self._reader.join(_RESTORE_S)
        self._link.close()

    def _beat(self, period_s: float) -> None:
        while not self._closed.wait(period_s):
            try:
                self.request("ping")
            except (TunerError, OSError):  # the next request raises it
                return

    def _reply(self) -> dict[str, Any]:
        """Return the reply to the last request; what came too late for an earlier one is dropped."""
        while True:
            try:
                got = self._replies.get(timeout=_REPLY_S)
            except queue.Empty:
                raise ChannelTimeoutError from None
            if isinstance(got, Exception):
                raise got
            if got.get("id") in (self._last_id, None):
                return got

    def _read(self) -> None:
        """Take lines until the other side hangs up or speaks another language."""
        noise = 0
        while True:
            try:
                line = self._channel.receive()
                data = parse_line(line or b"")
            except ChannelClosedError as error:
                self._replies.put(error)
                return
            except (BoardProtocolError, LineTooLongError):
                noise += 1
                if self._greeted or noise > _NOISE_LINES:
                    self._replies.put(malformed("of the board is none of the protocol"))
                    return
                continue  # what a login shell's start-up files print comes before anything of ours
            if data.get("event") == ALARM:
                self.on_alarm(str(data.get("reason", "")))
            else:
                self._replies.put(data)

    def _why_lost(self, silent: bool) -> TunerError:
        """Return the error for a connection that broke, by what the program that carried it said."""
        said = self._stderr.last_line(0.0 if silent else _GONE_S)
        if self._greeted:
            why = f"gave no answer within {_REPLY_S:g} s" if silent else "is gone"
            return BoardLostError(
                f"The connection to '{self._where}' {why}{f' ({said})' if said else ''}.",
                "The board puts itself back; wait until it is reachable again.",
            )
        if "sudo:" in said:
            return PermissionDeniedError(
                f"The user of '{self._where}' may not become root without a password ({said}).",
                "Allow it on the board (a sudoers line with NOPASSWD), or log in as root.",
            )
        hint = "Try the same by hand without a password: ssh -o BatchMode=yes HOST python3 --version."
        if self._link.process is None:
            hint = "See what the actuator says: journalctl -u tuner-actuator."
        return BoardUnreachableError(f"'{self._where}' cannot be reached{f': {said}' if said else ''}.", hint)


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
        if self._thread is not None:
            self._thread.join(wait_s)
        return last_line(self._text).rstrip(".")

    def _read(self, stream: IO[bytes]) -> None:
        while chunk := stream.read(_CHUNK):
            self._text = (self._text + chunk)[-_STDERR_TAIL:]
