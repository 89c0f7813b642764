"""A board at the other end of a connection, as a `Device`: its options, meters and workload are there."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from tuner import registry
from tuner.control import RestoreReport
from tuner.control.restoring import restore_error
from tuner.errors import BoardLostError, BoardUnreachableError, BoardUnsupportedError
from tuner.ports import (
    AppliedValues,
    Clock,
    EnergyReading,
    GuardVerdict,
    OpenContext,
    PowerMeter,
    PowerMode,
    PowerTrace,
    Probe,
    RealClock,
    Sensors,
    StopToken,
    Unsupported,
    Workload,
    WorkloadPluginElsewhere,
)
from tuner.ports.meter import SCOPES
from tuner.remote import bundle
from tuner.remote.connection import Connection
from tuner.remote.protocol import form_of, probe_from_json
from tuner.remote.transport import Address, Link, end, parse_address
from tuner.space import Configuration, OptionValue

#: How long an actuator that is a service may take to come back while one connects, and how often it is asked.
_RESTART_S, _ASK_AGAIN_S = 20.0, 0.2


def open_board(text: str, device: str, context: OpenContext) -> RemoteDevice:
    """Connect to the board at ``ssh://...``, ``exec:...`` or ``unix:...`` and take it.

    Args:
        text: Its address.
        device: Device specification on the board, ``auto`` for what it is.
        context: The session's; its setting `sysroot` counts on the board.

    Raises:
        UsageError: no address. BoardUnreachableError, PermissionDeniedError: it cannot be had.
        BoardUnsupportedError: the actuator that is a service there has another device.
        DeviceBusyError, RestoreError: another session has it, or it cannot be put back as it was.
    """
    address = parse_address(text)
    archive = b"" if address.socket_path else bundle.build()
    sysroot = context.settings.sysroot
    arguments = ["--device", device, *(["--sysroot", sysroot] if sysroot else [])]
    connection = _greeted(address, archive, arguments, context.stop)
    remote = RemoteDevice(address, archive, connection, context)
    if address.socket_path and not _is_of(device, remote.spec):
        remote.close()
        raise BoardUnsupportedError(
            f"The actuator at '{address.socket_path}' has the device '{remote.spec}', not '{device}'.",
            "Leave --device out, or set it in the actuator's own options.",
        )
    return remote


def _greeted(address: Address, archive: bytes, arguments: Sequence[str], stop: StopToken) -> Connection:
    """Connect. A service that dies before it has said who it is, is restarted: it is asked again, for a while.

    Raises:
        BoardUnreachableError: no actuator answers, or none stays long enough.
    """
    deadline_s = time.monotonic() + _RESTART_S
    link: Link | None = address.connect(archive, arguments)
    while True:
        try:
            return Connection(link or address.connect(archive, arguments), address.text)
        except BoardUnreachableError:
            if not address.socket_path or stop.is_set() or time.monotonic() > deadline_s:
                raise
        link = None
        RealClock(stop).sleep(_ASK_AGAIN_S)


def _is_of(wanted: str, spec: str) -> bool:
    return wanted == "auto" or wanted in (spec, spec.partition(":")[0])


class RemoteActuator:
    """A board's options over a connection. Each write is journalled on the board, by the board's side."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read_option(self, name: str) -> OptionValue:
        """Return the value now."""
        return _values(self._connection.request("read", options=[name]))[name]

    def write_option(self, name: str, value: OptionValue) -> None:
        """Write one option, as a transaction of its own."""
        self._connection.request("apply", target={name: value})

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        """Return what differs; the board's side has an order of its own."""
        return [(name, value) for name, value in target.items() if current.get(name) != value]

    def read_options(self, names: Iterable[str], asked: Configuration | None = None) -> Mapping[str, OptionValue]:
        """Return the values now, by one message; `asked` is not sent: the board's own control session has its own."""
        return _values(self._connection.request("read", options=list(names)))

    def boot_id(self) -> str:
        """Return the board's boot id."""
        return str(self._connection.request("boot_id")["boot_id"])


class RemoteControl:
    """The board's own `ControlSession`, passed through: one message a call, the journal over there."""

    def __init__(self, connection: Connection, spec: str) -> None:
        self._connection, self._spec = connection, spec

    def __enter__(self) -> RemoteControl:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have the board put back; where the connection broke, it does that without being asked.

        Raises:
            RestoreError: something does not go back; the journal on the board is kept.
        """
        try:
            report = self.restore()
        except BoardLostError:
            if error is None:
                raise
            return
        if report.failed:
            raise restore_error(report) from error

    def apply(self, target: Mapping[str, OptionValue]) -> AppliedValues:
        """Make the board have `target`; raises as `tuner.control.ControlSession.apply`."""
        reply = self._connection.request("apply", target=dict(target))
        # An actuator of an older version does not say: it may have written.
        return AppliedValues(_values(reply), reply.get("wrote") is not False)

    def verify(self, target: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Return the values now; raises `VerifyError` where one is not as `target` has it."""
        return _values(self._connection.request("verify", target=dict(target)))

    def restore(self) -> RestoreReport:
        """Put every original back."""
        reply = self._connection.request("restore")
        with form_of("of the board reports a restore in another form"):
            return RestoreReport(
                self._spec,
                dict(reply["restored"]),
                dict(reply["failed"]),
                bool(reply["discarded"]),
                tuple(reply["problems"]),
            )


class RemoteMeter:
    """A power meter of the board: it samples over there, in the actuator's process."""

    def __init__(self, connection: Connection, about: Mapping[str, Any]) -> None:
        self._connection = connection
        self.name = str(about["name"])
        self._reason = str(about["reason"])
        self._provenance = str(about.get("provenance", ""))
        self._min_window_s = float(about.get("min_window_s", 0.0))
        scope = about.get("scope")
        self._scope = scope if scope in SCOPES else SCOPES[0]

    def probe(self) -> Unsupported | None:
        """Return why it does not work there, None where it does."""
        return Unsupported(self.name, self._reason) if self._reason else None

    def scope(self) -> str:
        """Return how much of the board it measures; all of it where it does not say."""
        return self._scope

    def provenance(self) -> str:
        """Return what is measured."""
        return self._provenance

    def min_window_s(self) -> float:
        """Return the shortest window that gives a trustworthy energy."""
        return self._min_window_s

    def begin(self) -> None:
        """Start a window."""
        self._connection.request("energy_begin", meter=self.name)

    def end(self) -> EnergyReading:
        """End the window; raises `MeasurementError` as the meter does."""
        reply = self._connection.request("energy_end", meter=self.name)
        with form_of("of the board holds no energy"):
            return EnergyReading(
                float(reply["energy_j"]),
                float(reply["duration_s"]),
                int(reply["samples"]),
                u_energy_j=float(reply["u_energy_j"]) if "u_energy_j" in reply else None,
                u_common_j=float(reply.get("u_common_j", 0.0)),
                peak_w=float(reply["peak_w"]) if "peak_w" in reply else None,
                domains={str(name): float(value) for name, value in reply.get("domains", {}).items()},
                traces={str(name): _trace(raw) for name, raw in reply.get("traces", {}).items()},
            )


def _trace(raw: Mapping[str, Any]) -> PowerTrace:
    times_s, values = (tuple(map(float, raw[name])) for name in ("times_s", "values"))
    return PowerTrace(str(raw["unit"]), times_s, values)


class RemoteGuard:
    """The board's guard: it watches over there, and puts the board back at once when a hard limit is passed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def start(self, on_abort: Callable[[str], None]) -> None:
        """Begin to watch; `on_abort` is called when the board has put itself back because of a limit."""
        self._connection.on_alarm = on_abort
        self._connection.request("guard_start")

    def mark(self) -> None:
        """Judge only what comes from here on."""
        self._connection.request("guard_mark")

    def stop(self) -> GuardVerdict:
        """End watching; return what was seen since the last `mark`."""
        seen = self._connection.request("guard_stop")
        with form_of("of the board holds no verdict"):
            return GuardVerdict(
                bool(seen["throttled"]),
                tuple(map(str, seen["reasons"])),
                _number(seen["hottest_c"]),
                int(seen["oc_events"]),
                dict(seen["effective"]),
            )


class RemoteDevice:
    """A board at the other end of a connection.

    Args:
        address: Where it is.
        archive: What runs there.
        connection: To its actuator, which holds it from now on.
        context: The session's.
    """

    def __init__(self, address: Address, archive: bytes, connection: Connection, context: OpenContext) -> None:
        self._address, self._archive, self._connection = address, archive, connection
        self._context = context
        self._programs: list[subprocess.Popen[bytes]] = []
        self.clock: Clock = RealClock(context.stop)  # this machine waits, not the board
        hello = connection.hello
        with contextlib.ExitStack() as undo, form_of("of the board describes it in another form"):
            undo.callback(connection.close)
            self.board = str(hello["board"])
            self.emulated = bool(hello["emulated"])
            self._probes = tuple(probe_from_json(p) for p in hello["probes"])
            self._baseline: Configuration = dict(hello["baseline"])
            self._modes = tuple(PowerMode(str(n), dict(c)) for n, c in hello["power_modes"])
            self._notes = tuple(map(str, hello["notes"]))
            limit_c = hello["cool_down_to_c"]
            self._cool_down_to_c = None if limit_c is None else float(limit_c)
            self._meters = tuple(RemoteMeter(connection, about) for about in hello["meters"])
            # The board's own name for itself, so that the profile can be applied there.
            self.spec = str(hello["spec"])
            self._settle_s = float(hello["settle_s"])
            self._guarded = bool(hello["guarded"])
            self._recovered = hello["recovered"] is not None
            undo.pop_all()

    @property
    def reason(self) -> str:
        """Why this device was picked."""
        return f"--board {self._address.text}"

    @property
    def actuator(self) -> RemoteActuator:
        """The reading and writing side."""
        return RemoteActuator(self._connection)

    def control(self) -> RemoteControl:
        """Return the board's own control session, which is open already."""
        return RemoteControl(self._connection, self.spec)

    def probe(self) -> Sequence[Probe]:
        """Return each option as the board's side found it."""
        return self._probes

    def rows(self) -> Sequence[Configuration] | None:
        """Return None: a real board has all combinations."""
        return None

    def baseline(self) -> Configuration:
        """Return what was set when it was taken."""
        return self._baseline

    def power_modes(self) -> Sequence[PowerMode]:
        """Return the board's stock modes."""
        return self._modes

    def sensors(self) -> Sensors:
        """Return temperature and power now."""
        reply = self._connection.request("sensors")
        return Sensors(_number(reply.get("temperature_c")), _number(reply.get("power_w")))

    def settle_s(self) -> float:
        """Return how long to wait after something was written."""
        return self._settle_s

    def guard(self) -> RemoteGuard | None:
        """Return the board's guard, None where nothing can be watched."""
        return RemoteGuard(self._connection) if self._guarded else None

    def own_workload(self, argument: str | None) -> Workload | None:
        """Return a workload that runs on the board; None where the board is this machine (a service's socket).

        Raises:
            BoardUnsupportedError: one that cannot run there.
        """
        if self._address.socket_path:
            return None
        name, rest = registry.split_spec(argument or "reference")
        plugin = registry.create("workloads", name)
        if not isinstance(plugin, WorkloadPluginElsewhere):
            raise BoardUnsupportedError(
                f"The workload '{name}' runs on this machine only, not on '{self._address.text}'.",
                "Use 'command:LINE', a program on the board that prints latency_s=SECONDS.",
            )
        return plugin.open_elsewhere(rest, self._context, self)

    def start_program(self, module: str) -> subprocess.Popen[bytes]:
        """Start a workload's helper program on the board, as the user who logs in; `close` ends it."""
        process = self._address.start_program(self._archive, module)
        self._programs.append(process)
        return process

    def meters(self) -> Sequence[PowerMeter]:
        """Return the board's meters."""
        return self._meters

    def notes(self) -> Sequence[str]:
        """Return what the board says, and what a dead session had left there."""
        left = "a session on the board was killed; the board was put back as it was"
        return (*self._notes, *([left] if self._recovered else []))

    def cool_down_to_c(self) -> float | None:
        """Return the temperature below which a trial may start."""
        return self._cool_down_to_c

    def close(self) -> None:
        """Hang up; what was written and not put back yet is put back now, by the board's side."""
        for process in self._programs:
            end(process)
        self._connection.close()


def _values(reply: Mapping[str, Any]) -> dict[str, OptionValue]:
    with form_of("of the board holds no values"):
        return dict(reply["values"])


def _number(raw: Any) -> float | None:
    return float(raw) if isinstance(raw, (int, float)) else None
