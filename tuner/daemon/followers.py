"""The clients that follow sessions; they are woken when something may be new."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator


class Followers:
    """Session -> those who follow it. Belongs to the event loop's thread.

    Attributes:
        closing: No process writes events any more: nothing is left to wait for.
    """

    def __init__(self) -> None:
        self._news: dict[str, set[asyncio.Event]] = {}
        self.closing = False

    @contextlib.contextmanager
    def following(self, session: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the session's log or state may have changed."""
        news = asyncio.Event()
        self._news.setdefault(session, set()).add(news)
        try:
            yield news
        finally:
            self._news[session].discard(news)

    def count(self, session: str | None = None) -> int:
        """Return how many clients follow a session, or all."""
        chosen = self._news.values() if session is None else [self._news.get(session, set())]
        return sum(map(len, chosen))

    def tell(self, session: str) -> None:
        """Wake those who follow a session."""
        for news in self._news.get(session, ()):
            news.set()

    def close(self) -> None:
        """Wake all who follow, for the last time."""
        self.closing = True
        for session in self._news:
            self.tell(session)

    def forget(self, session: str) -> None:
        """Forget a session that was removed."""
        self._news.pop(session, None)
