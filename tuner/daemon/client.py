"""The client of the daemon: one method for each operation of its OpenAPI document, and the same errors."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter

from tuner.daemon.models import Applied, DeviceFacts, Health, ProfileView, SessionRequest, SessionView
from tuner.error_codec import error_from_json
from tuner.errors import DaemonUnreachableError, TunerError
from tuner.strict_json import parse_json

#: The daemon sends at least an empty line every 15 s; three that are missing mean that it hangs.
SILENCE_S = 50.0
#: Device facts and applying a profile open the device.
ANSWER_S = 150.0
#: How long a follower waits for a daemon that went away (an upgrade, a reboot).
AWAY_S = 120.0
_T = TypeVar("_T")


class DaemonClient:
    """Speaks to the daemon at a Unix socket. A context manager.

    All methods raise `DaemonUnreachableError` where no daemon answers, and otherwise what the daemon raised.

    Args:
        path: The socket.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=path),
            base_url="http://tuner",
            timeout=httpx.Timeout(ANSWER_S, connect=5.0),
        )

    def __enter__(self) -> DaemonClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def create_session(self, request: SessionRequest) -> SessionView:
        """Queue a session."""
        return self._ask(SessionView, "POST", "/sessions", json=request.model_dump())

    def list_sessions(self, limit: int = 50) -> list[SessionView]:
        """Return the newest sessions, oldest first."""
        return self._ask(list[SessionView], "GET", "/sessions", params={"limit": limit})

    def show_session(self, session: str) -> SessionView:
        """Return one session."""
        return self._session("GET", session, "")

    def pause_session(self, session: str) -> SessionView:
        """Pause before the next trial."""
        return self._session("POST", session, "/pause")

    def resume_session(self, session: str) -> SessionView:
        """Go on after a pause."""
        return self._session("POST", session, "/resume")

    def stop_session(self, session: str) -> SessionView:
        """End a session."""
        return self._session("POST", session, "/stop")

    def session_events(
        self, session: str, after: int = 0, follow: bool = False, idle: Callable[[], None] = lambda: None
    ) -> Iterator[dict[str, Any]]:
        """Yield a session's events, each with its `id`; ends when the session or the connection does.

        Args:
            session: Its id.
            after: Id of the last event that was seen.
            follow: Wait for what comes until the session ends.
            idle: Called while nothing comes, several times a minute.
        """
        params: dict[str, Any] = {"after": after, "follow": follow}
        timeout = httpx.Timeout(SILENCE_S, connect=5.0)
        with (
            _transport_errors(self._path),
            self._http.stream("GET", f"/sessions/{session}/events", params=params, timeout=timeout) as response,
        ):
            if response.status_code != 200:
                response.read()
                raise self._error(response)
            for line in response.iter_lines():
                if line.strip():
                    yield self._event(line)
                else:
                    idle()

    def follow_session(
        self, session: str, after: int = 0, idle: Callable[[], None] = lambda: None
    ) -> Iterator[dict[str, Any]]:
        """Yield a session's events until it has ended, across restarts of the daemon; misses none.

        `idle` is called while nothing comes, several times a minute.

        Raises:
            DaemonUnreachableError: the daemon stayed away.
        """
        gone_s: float | None = None
        while True:
            try:
                for event in self.session_events(session, after, follow=True, idle=idle):
                    gone_s = None
                    after = int(event["id"])
                    yield event
                view = self.show_session(session)
                if view.ended and view.last_event <= after:
                    return
            except DaemonUnreachableError:
                gone_s = time.monotonic() if gone_s is None else gone_s
                if time.monotonic() - gone_s > AWAY_S:
                    raise
            time.sleep(0.5)  # between two attempts to connect

    def list_profiles(self) -> list[ProfileView]:
        """Return the profiles that sessions left."""
        return self._ask(list[ProfileView], "GET", "/profiles")

    def show_profile(self, name: str) -> ProfileView:
        """Return one profile with its text."""
        return self._ask(ProfileView, "GET", f"/profiles/{name}")

    def apply_profile(self, name: str) -> Applied:
        """Set a profile's board options and leave them set."""
        return self._ask(Applied, "POST", f"/profiles/{name}/apply")

    def revert_profile(self, name: str, force: bool = False) -> Applied:
        """Put back what applying a profile replaced; with `force` also what another program set since."""
        return self._ask(Applied, "POST", f"/profiles/{name}/revert", params={"force": force})

    def device_facts(self) -> DeviceFacts:
        """Return what the device is and has."""
        return self._ask(DeviceFacts, "GET", "/device")

    def health(self) -> Health:
        """Return how the daemon is."""
        return self._ask(Health, "GET", "/health")

    def prometheus(self) -> str:
        """Return the metrics' text."""
        return self._request("GET", "/metrics").text

    def _event(self, line: str) -> dict[str, Any]:
        with _protocol_errors(self._path):
            event = parse_json(line)
            if not isinstance(event, dict) or not isinstance(event.get("id"), int):
                raise ValueError("it is no event")
            return event

    def _session(self, method: str, session: str, verb: str) -> SessionView:
        return self._ask(SessionView, method, f"/sessions/{session}{verb}")

    def _ask(self, kind: type[_T], method: str, path: str, **more: Any) -> _T:
        response = self._request(method, path, **more)
        with _protocol_errors(self._path):
            return TypeAdapter(kind).validate_json(response.content)

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        with _transport_errors(self._path):
            response = self._http.request(method, path, **more)
        if response.status_code >= 400:
            raise self._error(response)
        return response

    def _error(self, response: httpx.Response) -> TunerError:
        with _protocol_errors(self._path):
            return error_from_json(parse_json(response.content))


@contextlib.contextmanager
def _protocol_errors(path: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DaemonUnreachableError(
            f"What answers at {path} is no daemon of tuner: {str(error)[:200]}.", "Name another --socket."
        ) from error


@contextlib.contextmanager
def _transport_errors(path: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise DaemonUnreachableError(
            f"The daemon at {path} does not answer: {error or type(error).__name__}.",
            "`systemctl status tuner` says how it is.",
        ) from error
