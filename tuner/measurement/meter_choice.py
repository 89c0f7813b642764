"""Which power meter measures: the one that the user names, else of those that work here the one that sees most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tuner import registry
from tuner.errors import UnknownMeterError, UsageError
from tuner.measurement.summed_meter import SummedMeter, close_meters
from tuner.ports import Device, PowerMeter, RefusedMeter, ScopedMeter, SelectableMeter, Unsupported
from tuner.ports.meter import SCOPES

#: A meter whose argument is a command: it reaches to the end of the text, whatever is in it.
_COMMAND_METER = "external"


@dataclass(frozen=True)
class MeterChoice:
    """The meter of a session.

    Attributes:
        meter: It; None where there is none.
        why: Why this one, or why there is none; a clause for people.
        others: Names of meters that work here and were not taken.
        refused: What is here but was refused, with the reason.
    """

    meter: PowerMeter | None
    why: str
    others: Sequence[str] = ()
    refused: Sequence[str] = ()

    def text(self) -> str:
        """Return what is measured and what could be instead, as a clause."""
        if self.meter is None:
            return f"energy is not measured: {self.why}"
        parts = [f"energy is measured by {self.meter.provenance()}"]
        parts += [f"also here: {', '.join(f'--meter {name}' for name in self.others)}"] if self.others else []
        return "; ".join([*parts, *(f"not taken: {reason}" for reason in self.refused)])

    def close(self) -> None:
        """End what the meter holds."""
        if self.meter is not None:
            close_meters([self.meter])


#: Of a session whose metrics the workload gives itself.
NO_METER = MeterChoice(None, "this device has no power meter")


def choose_meter(device: Device, wanted: str | None, own_only: bool) -> MeterChoice:
    """Return the meter of a session on `device`.

    The device's own meters come first. Of the machine's the one is taken that measures most of it; a meter whose
    reading cannot be is refused, and the next one is tried.

    Args:
        device: What is measured.
        wanted: What the user named, such as ``rapl``, ``hwmon:amdgpu`` or ``rapl+nvml``; None for the best.
        own_only: The device brings its own workload, and is measured by its own meters or by none: the machine's would
            measure this process.

    Raises:
        UnknownMeterError: `wanted` names no meter. UsageError: it names one twice, or an argument that it lacks.
    """
    own = {meter.name: meter for meter in device.meters()}
    if wanted is not None:
        specs = _parts(wanted, own)
        if own_only and not own.keys() >= set(specs):
            return MeterChoice(None, f"'{wanted}' would measure this machine, not {device.spec}")
        return _named(wanted, [_one(spec, own) for spec in specs])
    # A board elsewhere lists each of its sensors as a meter of its own, which only its name chooses.
    working, missing = _tried(meter for name, meter in own.items() if ":" not in name)
    if not working and not own_only:
        working, more = _tried(registry.create("meters", name) for name in registry.names("meters"))
        missing += more
    if not working:
        return MeterChoice(None, "; ".join(map(_reason, missing)) or NO_METER.why)
    # Of equals the first: sorting keeps their order.
    chosen, *rest = sorted(working, key=lambda meter: SCOPES.index(_scope(meter)))
    close_meters(rest)
    return MeterChoice(
        chosen,
        f"it measures most of the machine ({_scope(chosen)})",
        [meter.name for meter in rest],
        [each.reason for each in missing if isinstance(each, RefusedMeter)],
    )


def _tried(meters: Iterable[PowerMeter]) -> tuple[list[PowerMeter], list[Unsupported]]:
    """Return the meters that work here, and why others do not."""
    working: list[PowerMeter] = []
    missing: list[Unsupported] = []
    for meter in meters:
        if getattr(meter, "by_name_only", False):
            continue
        found = meter.probe()
        if found is None:
            working.append(meter)
        else:
            missing.append(found)
    return working, missing


def _scope(meter: PowerMeter) -> str:
    return meter.scope() if isinstance(meter, ScopedMeter) else "machine"


def _reason(missing: Unsupported) -> str:
    return f"{missing.reason} ({missing.remedy})" if missing.remedy else missing.reason


def _parts(wanted: str, own: Mapping[str, PowerMeter]) -> list[str]:
    """Return the meters of a sum by name.

    Raises:
        UnknownMeterError: there is no such meter. UsageError: one is named twice.
    """
    specs = split_sum(wanted)
    if len(set(specs)) < len(specs):
        raise UsageError(f"--meter {wanted} counts a meter twice.", "Name each once.")
    known = [*own, *registry.names("meters")]
    for spec in specs:
        if spec not in known and registry.split_spec(spec)[0] not in known:
            raise UnknownMeterError(spec, known)
    return specs


def _named(wanted: str, meters: Sequence[PowerMeter]) -> MeterChoice:
    meter = meters[0] if len(meters) == 1 else SummedMeter(meters)
    missing = meter.probe()
    if missing is not None:
        close_meters(meters)
        return MeterChoice(None, f"'{wanted}' does not work here: {_reason(missing)}")
    return MeterChoice(meter, f"--meter {wanted}")


def split_sum(wanted: str) -> list[str]:
    """Return the parts of a sum; a command (``external:...``) is the last one and may hold anything."""
    parts: list[str] = []
    rest = wanted
    while rest:
        if rest.startswith(f"{_COMMAND_METER}:"):
            parts.append(rest)
            break
        part, _, rest = rest.partition("+")
        parts.append(part.strip())
        rest = rest.strip()
    return parts or [wanted]


def _one(spec: str, own: Mapping[str, PowerMeter]) -> PowerMeter:
    if spec in own:
        return own[spec]
    name, argument = registry.split_spec(spec)
    meter: PowerMeter = own[name] if name in own else registry.create("meters", name)
    if argument is None:
        return meter
    if not isinstance(meter, SelectableMeter):
        raise UsageError(f"The power meter '{name}' takes no argument.", f"Write --meter {name}.")
    return meter.select(argument)
