"""Serves one peer: hello first, then requests one by one; when the peer is gone the board is put back."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import asdict
from typing import Any, Callable, Mapping  # noqa: UP035 - subscripted at run time by Python 3.8

from tuner.errors import BoardProtocolError, DeviceError, TunerError
from tuner.remote.board import OwnedBoard
from tuner.remote.channel import Channel, ChannelClosedError, ChannelTimeoutError, LineTooLongError, Watched
from tuner.remote.protocol import (
    ALARM,
    MAX_REPLY,
    VERSION,
    Request,
    encode,
    error_line,
    ident_of,
    malformed,
    parse_request,
)

#: A peer that takes no reply for so long is gone.
SEND_TIMEOUT_S = 30.0
#: A peer has so long for its first message: until then the board is free.
HELLO_TIMEOUT_S = 30.0


class Server:
    """Answers one peer's lines. Holds the board from the peer's hello until `close`.

    Args:
        open_board: Takes the board; called once, at the hello.
    """

    def __init__(self, open_board: Callable[[], OwnedBoard]) -> None:
        self._open_board = open_board
        self._board: OwnedBoard | None = None
        self._alarm = _Alarm()
        self.heartbeat_s: float | None = HELLO_TIMEOUT_S

    def answer(self, line: bytes) -> bytes:
        """Return the reply to one line, whatever it holds; never raises for what a peer can send."""
        try:
            request = parse_request(line)
        except BoardProtocolError as error:
            return error_line(ident_of(line), error)
        try:
            value = self._do(request)
        except TunerError as error:
            return error_line(request.ident, error)
        except OSError as error:  # a sensor or a meter that vanished
            reason = DeviceError(f"The board does not answer '{request.do}': {error.strerror}.", "Try again.")
            return error_line(request.ident, reason)
        reply = encode({"id": request.ident, "ok": value})
        if len(reply) > MAX_REPLY:
            return error_line(request.ident, malformed("would be too long"))
        return reply

    def serve(self, channel: Channel, watched: Watched) -> str:
        """Serve until the peer is gone or a watched descriptor says so; return why. The caller closes.

        Args:
            channel: The peer.
            watched: Descriptors (a signal's, a listening socket's) and what is called when one is readable.
        """
        watched = {**watched, self._alarm.fileno(): lambda: self._sound(channel)}
        while True:
            try:
                line = channel.receive(self.heartbeat_s, watched)
                if line is None:
                    return "it was told to stop"
                reply = self.answer(line)
            except LineTooLongError:
                reply = error_line(None, malformed("is too long"))
            except ChannelClosedError:
                return "its peer is gone"
            except ChannelTimeoutError:
                return f"its peer was silent for {self.heartbeat_s:g} s"
            try:
                channel.send(reply, SEND_TIMEOUT_S)
            except (ChannelClosedError, ChannelTimeoutError):
                return "its peer takes no replies"

    def close(self) -> None:
        """Put the board back and give it away; nothing to do where no hello came.

        Raises:
            RestoreError: not everything went back; the journal is kept.
        """
        board, self._board = self._board, None
        try:
            if board is not None:
                board.close()
        finally:
            self._alarm.close()

    def _do(self, request: Request) -> Mapping[str, Any]:
        if request.do == "hello":
            return self._hello(request)
        if self._board is None:
            raise malformed(f"'{request.do}' came before 'hello'")
        if request.do == "guard_start":
            self._board.guard_start(self._alarm.trip)
            return {}
        return _HANDLERS[request.do](self._board, request.fields) or {}

    def _sound(self, channel: Channel) -> bool:
        """Put the board back, which is too hot, then tell the peer; the session goes on."""
        reason = self._alarm.take()
        if self._board is not None:
            with contextlib.suppress(TunerError):  # what fails is reported when the peer asks to restore
                self._board.restore()
        with contextlib.suppress(ChannelClosedError, ChannelTimeoutError):
            channel.send(encode({"event": ALARM, "reason": reason}), SEND_TIMEOUT_S)
        return False

    def _hello(self, request: Request) -> Mapping[str, Any]:
        if request.fields["version"] != VERSION:
            raise BoardProtocolError(
                f"The board's side speaks version {VERSION}, the session version {request.fields['version']}.",
                "Install the same version of tuner on both.",
            )
        if self._board is not None:
            raise malformed("'hello' came twice")
        self._board = self._open_board()
        self.heartbeat_s = request.fields["heartbeat_s"]
        python = ".".join(map(str, sys.version_info[:3]))
        recovered = asdict(self._board.recovered) if self._board.recovered else None
        return {"version": VERSION, "python": python, "recovered": recovered, **self._board.describe()}


class _Alarm:
    """A guard's word from its thread to the server's loop: a readable descriptor and the reason."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._reason = ""

    def fileno(self) -> int:
        return self._read

    def trip(self, reason: str) -> None:
        self._reason = reason
        os.write(self._write, b"x")

    def take(self) -> str:
        os.read(self._read, 1)
        return self._reason

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


_HANDLERS: Mapping[str, Callable[[OwnedBoard, Mapping[str, Any]], Mapping[str, Any] | None]] = {
    "probe": lambda board, _: board.describe(),
    "read": lambda board, fields: {"values": board.read(fields["options"])},
    "apply": lambda board, fields: asdict(board.apply(fields["target"])),
    "verify": lambda board, fields: {"values": board.verify(fields["target"])},
    "restore": lambda board, _: asdict(board.restore()),
    "sensors": lambda board, _: board.sensors(),
    "boot_id": lambda board, _: {"boot_id": board.boot_id()},
    "energy_begin": lambda board, fields: board.energy_begin(fields["meter"]),
    "energy_end": lambda board, fields: board.energy_end(fields["meter"]),
    "guard_mark": lambda board, _: board.guard_mark(),
    "guard_stop": lambda board, _: board.guard_stop(),
    "ping": lambda board, _: None,
}
