"""The checks of every request before it reaches the application: its sender, its length, its duration.

`GateProtocol` knows the connection, `Gate` wraps the application.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from tuner.daemon.access import Peer, Policy, peer_of
from tuner.daemon.connections import MOST_CONNECTIONS, Connections
from tuner.daemon.http_status import status_of
from tuner.daemon.models import ErrorBody
from tuner.errors import DaemonBusyError, PermissionDeniedError, RequestError, TunerError

#: Longest head and body of a request, in bytes.
LONGEST_HEAD = 16 * 1024
LONGEST_BODY = 256 * 1024
#: How long a client may take for a request's head, and for its body.
HEAD_S = 10.0
BODY_S = 10.0
PEER, ABORT = "tuner.peer", "tuner.abort"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("tuner.daemon")


class GateProtocol(H11Protocol):
    """uvicorn's protocol, with the peer's credentials and a limit on how long a request's head may take."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._leave: Callable[[], None] = _nothing

    def connection_made(self, transport: Any) -> None:
        """Ask the kernel who connected; refuse one connection too many."""
        super().connection_made(transport)
        gate: Gate = self.config.app  # type: ignore[assignment]
        peer = peer_of(transport.get_extra_info("socket"))
        if not gate.enter(peer):
            _log.warning("a connection of %s is refused: there are too many", peer)
            many = DaemonBusyError("The daemon has as many connections as it takes.", "Try it again.")
            self._answer_at_once(503, many, b"Service Unavailable")
            return
        self._leave = lambda: gate.leave(peer)
        self.app = _with_peer(self.app, peer, transport.abort)
        self._head_timer = self.loop.call_later(HEAD_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the clock runs while a head is incomplete."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock, and that it was there."""
        self._stop_timer()
        self._leave()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as everything else is answered: with an error's JSON."""
        wrong = RequestError("What was sent is no HTTP request.", "Speak HTTP/1.1.")
        self._answer_at_once(400, wrong, b"Bad Request")

    def _answer_at_once(self, status: int, error: TunerError, reason: bytes) -> None:
        body = _json(error)
        with contextlib.suppress(h11.LocalProtocolError):  # in the middle of an answer: just close
            for event in (
                h11.Response(status_code=status, headers=_headers(body), reason=reason),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _nothing() -> None:
    return None


def _with_peer(app: Any, peer: Peer, abort: Callable[[], None]) -> Any:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, PEER: peer, ABORT: abort}, receive, send)

    return call


class Gate:
    """Refuses users that the policy does not allow, and bodies that are too long or too slow.

    Args:
        app: What is behind.
        policy: Who may.
        token: What TCP clients must bear.
        most: How many connections there may be.
    """

    def __init__(self, app: App, policy: Policy, token: str | None, most: int = MOST_CONNECTIONS) -> None:
        self._app, self._policy, self._token = app, policy, token
        self._connections = Connections(most)

    def enter(self, peer: Peer) -> bool:
        """Count a connection; return False where it is one too many."""
        return self._connections.enter(peer.uid, self._policy.is_root(peer))

    def leave(self, peer: Peer) -> None:
        """Forget a connection that `enter` counted."""
        self._connections.leave(peer.uid)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        peer: Peer = scope[PEER]
        try:
            if peer.uid is None and not self._bears_token(scope):
                denied = PermissionDeniedError("The token is missing or wrong.", "Send it as a bearer token.")
                await answer(send, denied, 401, ((b"www-authenticate", b"Bearer"),))
                return
            self._policy.require_member(peer)
            body = await _body(scope, receive)
        except TunerError as error:
            if isinstance(error, PermissionDeniedError):
                _log.warning("%s %s refused: %s", scope["method"], scope["path"], error.what)
            await answer(send, error)
            return
        await self._app(scope, _replayed(body, receive), send)

    def _bears_token(self, scope: Scope) -> bool:
        header = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
        scheme, _, given = header.partition(b" ")
        return (
            self._token is not None
            and scheme.lower() == b"bearer"
            and hmac.compare_digest(given.strip(), self._token.encode())
        )


async def answer(
    send: Send, error: TunerError, status: int | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Answer with an error's JSON and end the connection."""
    body = _json(error)
    await send(
        {"type": "http.response.start", "status": status or status_of(error), "headers": [*_headers(body), *headers]}
    )
    await send({"type": "http.response.body", "body": body})


def _json(error: TunerError) -> bytes:
    return json.dumps(ErrorBody.of(error).model_dump()).encode()


def _headers(body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]


async def _body(scope: Scope, receive: Receive) -> bytes:
    """Return the whole body of a request.

    Raises:
        RequestError: it is too long, does not come in time, or its sender went away.
    """
    too_long = RequestError(f"The body is longer than {LONGEST_BODY} bytes.", "Send less.")
    declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
    if int(declared) > LONGEST_BODY:  # h11 has checked that it is a number
        raise too_long
    parts: list[bytes] = []

    async def read() -> None:
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise RequestError("The client went away.", "")
            parts.append(message.get("body", b""))
            length += len(parts[-1])
            if length > LONGEST_BODY:
                raise too_long
            more = message.get("more_body", False)

    try:
        await asyncio.wait_for(read(), BODY_S)
    except asyncio.TimeoutError:
        raise RequestError(f"The body did not come within {BODY_S:.0f} s.", "Send it at once.") from None
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives `body` first."""
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again
