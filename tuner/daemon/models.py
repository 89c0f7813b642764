"""The models of what goes over the socket, and of the files that a session leaves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tuner.error_codec import error_to_json
from tuner.errors import TunerError

#: Lengths that a request may have. A shell line is the longest.
Text = Annotated[str, StringConstraints(max_length=4096)]
Key = Annotated[str, StringConstraints(max_length=64)]
Scalar = bool | int | float | Text

State = Literal["queued", "running", "paused", "stopping", "finished", "stopped", "failed", "damaged"]
ENDED: frozenset[str] = frozenset({"finished", "stopped", "failed", "damaged"})
#: Version of the records that sessions leave in files.
VERSION = 1


class Model(BaseModel):
    """Base: unknown keys are refused, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(extra="forbid")


class ErrorBody(BaseModel):
    """An error as clients get it: `error` is a class of tuner/errors.py, with its exit code."""

    error: str
    what: str
    hint: str
    exit_code: int

    @classmethod
    def of(cls, error: TunerError) -> ErrorBody:
        """Return an error as this model."""
        return cls.model_validate(error_to_json(error))


class SessionRequest(Model):
    """A request for a session.

    Attributes:
        settings: Keys of `tuner.toml`. What is missing has its default, `device` the daemon's; the daemon's
            own files and variables are not looked at.
        cwd: Folder that relative paths in the settings start from.
    """

    settings: dict[Key, Scalar | Annotated[list[Scalar], Field(max_length=64)]] = Field(
        default_factory=dict, max_length=64
    )
    cwd: Text | None = None


class Quarantined(BaseModel):
    """A configuration that is never tried again, and how often the device went down with it."""

    configuration: dict[str, Any]
    crashes: int


class SessionView(BaseModel):
    """A session.

    Attributes:
        state: queued, running, paused, stopping, or how it ended; damaged where its files cannot be read.
        wanted: What was asked for last: run, pause or stop.
        reason: Why it waits or how it ended, in a sentence; may be empty.
        created_s, updated_s: Wall-clock seconds since the epoch.
        owner_uid: Who made it; None for a client with a token.
        study, board, objective, unit, budget, phase: As its events said; empty before.
        last_event: Id of its last event; `GET /sessions/{id}/events?after=` takes it.
        resumes: How often it went on after the daemon or the device was away.
        profile: Name of its profile, for `/profiles/{name}`; empty before it has one.
        error: What ended it, where it failed.
        resume_command: A shell line that goes on with it once it has ended.
    """

    id: str
    state: State
    wanted: Literal["run", "pause", "stop"] = "run"
    reason: str = ""
    created_s: float
    updated_s: float
    owner_uid: int | None
    settings: dict[str, Any]
    device: str
    study: str
    board: str = ""
    objective: str = ""
    unit: str = ""
    budget: str = ""
    budget_trials: int | None = None
    emulated: bool = False
    trials: int = 0
    failed: int = 0
    best_value: float | None = None
    baseline_value: float | None = None
    saving_percent: float | None = None
    phase: str = ""
    last_event: int = 0
    resumes: int = 0
    quarantined: list[Quarantined] = []
    profile: str = ""
    error: ErrorBody | None = None
    resume_command: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ENDED


class SessionRecord(SessionView):
    """A session as its file keeps it: the view, and what it takes to go on. What is assigned is checked.

    Attributes:
        version: Of the file; one that a newer tuner wrote is not read.
        cwd: As requested.
        pid, pid_started: Its running process, and that process's start in clock ticks (pids come back).
        boot_id: This machine's boot when the process was started.
        spent_s: Seconds that earlier processes of this session ran.
        crashes: Processes in a row that died without finishing a trial.
        board_gone_s: When its actuator was lost (seconds since the epoch); None where it has it.
        offset: Bytes of the event log that this record has taken in.
    """

    model_config = ConfigDict(validate_assignment=True, allow_inf_nan=False)

    version: Annotated[int, Field(ge=1, le=VERSION)] = VERSION
    cwd: str | None = None
    pid: Annotated[int, Field(gt=1, lt=2**22 + 1)] | None = None
    pid_started: int | None = None
    boot_id: str = ""
    spent_s: float = 0.0
    crashes: int = 0
    crashed: bool = False
    board_gone_s: float | None = None
    offset: Annotated[int, Field(ge=0)] = 0


class ProfileView(BaseModel):
    """A profile; `text` is its TOML file, only where one profile is asked for."""

    name: str
    board: str
    device: str
    objective: str
    saving_percent: float | None
    feasible: bool
    emulated: bool
    created: str
    text: str = ""


class Applied(BaseModel):
    """What applying or reverting did: option -> value read back."""

    device: str
    options: dict[str, Any]
    note: str = ""


class OptionFact(BaseModel):
    """An option of the device; `current` and `values` where it can be set, else `unavailable` says why not."""

    name: str
    unit: str = ""
    current: Any = None
    values: list[Any] = []
    unavailable: str = ""


class DeviceFacts(BaseModel):
    """The device of the daemon's setting `device`."""

    device: str
    board: str
    emulated: bool
    reason: str
    temperature_c: float | None
    power_w: float | None
    options: list[OptionFact]


class Health(BaseModel):
    """The daemon itself; `stalled` says what does not advance, empty where all is well."""

    version: str
    pid: int
    uptime_s: float
    sessions: dict[str, int]
    stalled: str
