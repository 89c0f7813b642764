"""The HTTP interface. Its OpenAPI document is at ``/openapi.json``; the client is `tuner.daemon.client`."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tuner import __version__
from tuner.daemon import metrics
from tuner.daemon.access import Peer, Policy
from tuner.daemon.event_stream import EventStream
from tuner.daemon.gate import PEER
from tuner.daemon.http_status import status_of
from tuner.daemon.models import Applied, DeviceFacts, ErrorBody, Health, ProfileView, SessionRequest, SessionView
from tuner.daemon.profile_store import ProfileStore
from tuner.daemon.shortage import is_shortage
from tuner.daemon.supervisor import Supervisor
from tuner.daemon.tasks import Tasks
from tuner.errors import DaemonBusyError, RequestError, TunerError, UsageError

#: Facts of a device are asked for at most this often.
FACTS_AGE_S = 10.0
MOST_LISTED = 500
_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "what is wrong with the request, and what to do"},
    "5XX": {"model": ErrorBody, "description": "what went wrong, and what to do"},
    422: {"model": ErrorBody, "description": "a value that cannot be"},
}

SessionId = Annotated[str, Path(max_length=100, description="as `GET /sessions` gives it")]
ProfileName = Annotated[str, Path(max_length=255, description="as `GET /profiles` gives it")]

_log = logging.getLogger("tuner.daemon")


@dataclass(kw_only=True)
class Service:
    """What the routes work on. `facts` is the last answer of the device and when it came."""

    supervisor: Supervisor
    profiles: ProfileStore
    tasks: Tasks
    policy: Policy
    device: str
    started_s: float
    facts: tuple[float, DeviceFacts] | None = None


def create_app(service: Service) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="tuner",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
        description="Sessions, profiles and the device of one board. Errors are `ErrorBody`.",
    )
    _handle_errors(app)
    _add_sessions(app, service)
    _add_profiles(app, service)
    _add_facts(app, service)
    return app


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(TunerError)
    async def typed(request: Request, error: TunerError) -> JSONResponse:
        return _answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        return _answer(UsageError(f"The request's {where} cannot be: {first['msg']}.", "See /openapi.json."))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        wrong = RequestError(f"{request.method} {request.url.path}: {error.detail}.", "See /openapi.json.")
        return _answer(wrong, error.status_code, error.headers)

    @app.exception_handler(OSError)
    async def short(request: Request, error: OSError) -> JSONResponse:
        if not is_shortage(error):
            return await internal(request, error)
        _log.warning("%s %s cannot be answered now: %s", request.method, request.url.path, error)
        return _answer(DaemonBusyError(f"The daemon is short of something: {error.strerror}.", "Try it again."))

    @app.exception_handler(Exception)
    async def internal(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _answer(TunerError("The daemon failed in a way it should not.", "Report what its log says."))


def _answer(error: TunerError, status: int | None = None, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(ErrorBody.of(error).model_dump(), status or status_of(error), headers=headers)


def _add_sessions(app: FastAPI, service: Service) -> None:
    supervisor = service.supervisor

    @app.post("/sessions", status_code=201)
    async def create_session(request: Request, wanted: SessionRequest) -> SessionView:
        """Queue a session."""
        peer: Peer = request.scope[PEER]
        workload = wanted.settings.get("workload")
        service.policy.require_workload(peer, workload if isinstance(workload, str) else None)
        meter = wanted.settings.get("meter")
        if isinstance(meter, str):
            service.policy.require_meter(peer, meter)
        device = wanted.settings.get("device")
        if isinstance(device, str):
            service.policy.require_device(peer, device, service.device)
        record = supervisor.create(wanted, peer.uid)
        _log.info("session %s made by %s", record.id, peer)
        return record

    @app.get("/sessions")
    async def list_sessions(limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50) -> list[SessionView]:
        """Return the newest sessions, oldest first."""
        return list(supervisor.all()[-limit:])

    @app.get("/sessions/{session}")
    async def show_session(session: SessionId) -> SessionView:
        """Return one session."""
        return supervisor.get(session)

    @app.post("/sessions/{session}/pause")
    async def pause_session(session: SessionId) -> SessionView:
        """Pause before the next trial; the device is put back meanwhile."""
        return supervisor.pause(session)

    @app.post("/sessions/{session}/resume")
    async def resume_session(session: SessionId) -> SessionView:
        """Go on after a pause."""
        return supervisor.resume(session)

    @app.post("/sessions/{session}/stop")
    async def stop_session(session: SessionId) -> SessionView:
        """End a session; what it measured is kept."""
        return supervisor.stop(session)

    @app.get(
        "/sessions/{session}/events",
        status_code=200,
        response_class=EventStream,
        responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
    )
    async def session_events(
        session: SessionId,
        after: Annotated[int, Query(ge=0, le=2**53, description="id of the last event seen")] = 0,
        follow: Annotated[bool, Query(description="wait for what comes until the session ends")] = False,
    ) -> Response:
        """Return the session's events, one JSON object a line, each with an `id` that only grows."""
        supervisor.get(session)
        return EventStream(supervisor, session, after, follow)


def _add_profiles(app: FastAPI, service: Service) -> None:
    @app.get("/profiles")
    async def list_profiles() -> list[ProfileView]:
        """Return the profiles that sessions left."""
        return service.profiles.list()

    @app.get("/profiles/{name}")
    async def show_profile(name: ProfileName) -> ProfileView:
        """Return one profile with its TOML text."""
        return service.profiles.show(name)

    @app.post("/profiles/{name}/apply")
    async def apply_profile(request: Request, name: ProfileName) -> Applied:
        """Set a profile's board options, verify them and leave them set."""
        path = service.profiles.path(name)
        return Applied.model_validate(await service.tasks.run("apply", str(path), owner_uid=_owner(request)))

    @app.post("/profiles/{name}/revert")
    async def revert_profile(request: Request, name: ProfileName, force: bool = False) -> Applied:
        """Put back what applying a profile replaced; with `force` also what another program set since."""
        path = service.profiles.path(name)
        words = ["force"] if force else []
        found = await service.tasks.run("revert", str(path), *words, owner_uid=_owner(request))
        return Applied.model_validate(found)


def _owner(request: Request) -> int | None:
    peer: Peer = request.scope[PEER]
    return peer.uid


def _add_facts(app: FastAPI, service: Service) -> None:
    registry = metrics.metrics_registry(service.supervisor)

    @app.get("/device")
    async def device_facts() -> DeviceFacts:
        """Return what the device is, what it can set, and what it senses now."""
        if service.facts is None or time.monotonic() - service.facts[0] > FACTS_AGE_S:
            found = DeviceFacts.model_validate(await service.tasks.run("facts", service.device))
            service.facts = (time.monotonic(), found)
        return service.facts[1]

    @app.get("/health")
    async def health() -> Health:
        """Return how the daemon is."""
        counts = Counter(r.state for r in service.supervisor.all())
        return Health(
            version=__version__,
            pid=os.getpid(),
            uptime_s=time.monotonic() - service.started_s,
            sessions={str(state): n for state, n in counts.items()},
            stalled=service.supervisor.stalled(),
        )

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus() -> Response:
        """Return metrics for Prometheus."""
        return Response(metrics.exposition(registry), media_type=metrics.CONTENT_TYPE)
