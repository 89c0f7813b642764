"""`GET /sessions/{id}/events`: a session's events as JSON lines, from the file to one client at its own pace."""

from __future__ import annotations

import asyncio
import logging
import os

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tuner.daemon.event_log import is_event, offset_after, open_log, read_lines
from tuner.daemon.gate import ABORT
from tuner.daemon.supervisor import Supervisor

#: An empty line this often tells a client that the daemon lives, and the daemon that the client does.
HEARTBEAT_S = 15.0
#: A client that takes nothing for this long is cut off; it may come back and miss nothing.
STUCK_S = 60.0

_log = logging.getLogger("tuner.daemon")


class EventStream(Response):
    """A response that follows a session's log.

    Args:
        supervisor: Tells of news.
        session: Whose events.
        after: Id after which to begin.
        follow: Go on until the session has ended; else end with what there is.
    """

    media_type = "application/x-ndjson"

    def __init__(self, supervisor: Supervisor, session: str, after: int, follow: bool) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]  # it is not known yet
        self._supervisor, self._session = supervisor, session
        self._after, self._follow = after, follow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until there is no more, the client leaves or the daemon ends."""
        descriptor = open_log(self._supervisor.log_path(self._session))  # first: what it raises is answered
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            with self._supervisor.followers.following(self._session) as news:
                gone = asyncio.create_task(_until_gone(receive, news))
                try:
                    await self._send_all(descriptor, news, gone, send)
                finally:
                    gone.cancel()
            await asyncio.wait_for(send({"type": "http.response.body", "body": b""}), STUCK_S)
        except asyncio.TimeoutError:
            _log.warning("a client of session %s takes nothing: cut off", self._session)
            scope[ABORT]()
        finally:
            os.close(descriptor)

    async def _send_all(self, descriptor: int, news: asyncio.Event, gone: asyncio.Task[None], send: Send) -> None:
        offset = offset_after(descriptor, self._after)
        record = self._supervisor.get(self._session)
        while not gone.done():
            news.clear()
            last = record.ended or not self._follow or self._supervisor.followers.closing
            data = read_lines(descriptor, offset)
            if not data and last:
                return
            if not data:
                data = await _news_or_heartbeat(news)
            else:
                offset += len(data)
                data = self._whole(data)
            if data:
                message = {"type": "http.response.body", "body": data, "more_body": True}
                await asyncio.wait_for(send(message), STUCK_S)

    def _whole(self, data: bytes) -> bytes:
        """Return lines without those that are no event."""
        lines = data.splitlines(keepends=True)
        events = [line for line in lines if is_event(line)]
        if len(events) < len(lines):
            _log.warning("the log of session %s is damaged: lines are left out", self._session)
        return b"".join(events)


async def _until_gone(receive: Receive, news: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    news.set()


async def _news_or_heartbeat(news: asyncio.Event) -> bytes:
    try:
        await asyncio.wait_for(news.wait(), HEARTBEAT_S)
    except asyncio.TimeoutError:
        return b"\n"
    return b""
