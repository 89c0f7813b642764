"""`tuner doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version

import click

from tuner.cli.out import as_called, say_json, say_table, with_flags
from tuner.errors import TunerError
from tuner.ports import Device, PowerMeter, Supported
from tuner.space import Option

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True)
class Check:
    """One finding: what was checked, its state, and what to do."""

    what: str
    state: str
    finding: str
    remedy: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write a JSON list.")
def command(as_json: bool) -> int:
    """Report what works on this machine, what does not, and what to do."""
    checks = [replace(check, remedy=as_called(check.remedy)) for check in run_checks()]
    if as_json:
        say_json([asdict(c) for c in checks])
    else:
        heads = ("check", "state", "finding", "what to do")
        rows = [(c.what, c.state, c.finding, c.remedy) for c in checks]
        say_table(heads, rows, ruled=True, width=None if sys.stdout.isatty() else 140)
    return 1 if any(c.state == ERROR for c in checks) else 0


def run_checks() -> Iterator[Check]:
    """Yield all checks, the machine's first."""
    yield Check("Python", OK, f"{platform.python_version()} on {platform.machine()}")
    yield from onnxruntime_checks(_installed("onnxruntime"), _installed("onnxruntime-gpu"), platform.machine())
    yield from _directories()
    yield from _journals()
    yield from _devices()
    yield from _meters()


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def onnxruntime_checks(plain: str | None, gpu: str | None, machine: str) -> Iterator[Check]:
    """Check the installed ONNX Runtime packages, given as versions (None: not installed)."""
    if plain and gpu:
        yield Check(
            "onnxruntime",
            ERROR,
            f"both onnxruntime {plain} and onnxruntime-gpu {gpu} are installed and overwrite each other",
            "pip uninstall onnxruntime; pip install --force-reinstall --no-deps onnxruntime-gpu",
        )
        return
    if not plain and not gpu:
        remedy = "pip install onnxruntime-gpu"
        if machine == "aarch64":
            remedy = "install the onnxruntime-gpu wheel that NVIDIA publishes for your JetPack release (Jetson Zoo)"
        yield Check("onnxruntime", WARNING, "not installed: workload onnx cannot run", remedy)
        return
    try:
        import onnxruntime
    except ImportError as error:
        yield Check("onnxruntime", ERROR, f"cannot be imported: {error}", "reinstall it")
        return
    yield Check("onnxruntime", OK, f"{onnxruntime.__version__} ({'GPU' if gpu else 'CPU'} package)")
    if not os.path.exists("/dev/nvidia0") and not os.path.exists("/dev/nvhost-gpu"):
        yield Check("GPU", WARNING, "no NVIDIA GPU is here: models run on the CPU")


def _directories() -> Iterator[Check]:
    from tuner import paths

    for what, where in (("data directory", paths.data_dir), ("state directory", paths.state_dir)):
        try:
            folder = where()
        except TunerError as error:
            yield Check(what, ERROR, error.what, error.hint)
            continue
        writable = os.access(folder, os.W_OK)
        remedy = "" if writable else "make it writable, or set TUNER_DATA_DIR and TUNER_STATE_DIR"
        yield Check(what, OK if writable else ERROR, str(folder), remedy)


def _journals() -> Iterator[Check]:
    from tuner.control import pending
    from tuner.session.setup import journal_dir

    try:
        found = [j for j in pending(journal_dir()) if not j.owner_alive]
    except TunerError as error:
        yield Check("restore journals", ERROR, error.what, error.hint)
        return
    if not found:
        yield Check("restore journals", OK, "none is left over")
    for journal in found:
        why = journal.problems[0] if journal.problems else f"a session on {journal.device} was killed"
        remedy = f"tuner {with_flags('restore --list' if journal.problems else 'restore')}"
        yield Check("restore journals", WARNING, why, remedy)


def _devices() -> Iterator[Check]:
    from tuner import registry
    from tuner.cli.options import open_context

    context = open_context()
    plugins = {name: registry.create("devices", name) for name in registry.names("devices")}
    reasons = {name: plugin.detect(context) for name, plugin in plugins.items()}
    known = any(reasons.values())
    for name, plugin in plugins.items():
        yield Check(f"device {name}", OK, reasons[name] or plugin.summary)
        if not reasons[name] and (known or not plugin.is_fallback):
            continue
        try:
            device = plugin.open(None, context)
        except TunerError as error:
            yield Check(f"device {name}", ERROR, error.what, error.hint)
            continue
        try:
            yield from _device(device, context.settings.meter)
        finally:
            device.close()


def _device(device: Device, wanted: str | None) -> Iterator[Check]:
    """Yield what one device has: options, the meter of a session (`wanted` names it), sensors, power modes, notes."""
    for probe in device.probe():
        if isinstance(probe, Supported):
            yield Check(f"  {probe.option.name}", OK, f"{_levels(probe.option)} (now {probe.current})")
        else:
            yield Check(f"  {probe.name}", WARNING, probe.reason, probe.remedy)
    for meter in device.meters():
        yield _meter(f"  meter {meter.name}", meter)
    yield _energy(device, wanted)
    sensors = device.sensors()
    if sensors.temperature_c is not None:
        yield Check("  temperature", OK, f"{sensors.temperature_c:.1f} degrees Celsius")
    modes = device.power_modes()
    if modes:
        yield Check("  power modes", OK, ", ".join(mode.name for mode in modes))
    for note in device.notes():
        yield Check("  note", WARNING, note)


def _energy(device: Device, wanted: str | None) -> Check:
    """Return what measures the energy of a session here, and why that."""
    from tuner.measurement.meter_choice import choose_meter

    try:
        choice = choose_meter(device, wanted, own_only=device.own_workload(None) is not None)
    except TunerError as error:
        return Check("  energy", ERROR, error.what, error.hint)
    choice.close()
    if choice.meter is None:
        return Check("  energy", WARNING, "nothing measures it here", "see the meters below for the reasons")
    return Check("  energy", OK, f"{choice.text()}: {choice.why}")


def _levels(option: Option) -> str:
    """Return an option's levels, shortened in the middle."""
    values = [str(v) for v in option.values]
    return ", ".join(values if len(values) <= 8 else [*values[:4], "...", *values[-3:]])


def _meters() -> Iterator[Check]:
    from tuner import registry

    for name in registry.names("meters"):
        yield _meter(f"meter {name}", registry.create("meters", name))


def _meter(what: str, meter: PowerMeter) -> Check:
    if getattr(meter, "by_name_only", False):
        return Check(what, OK, getattr(meter, "summary", "used where --meter names it"))
    missing = meter.probe()
    if missing is None:
        return Check(what, OK, meter.provenance())
    return Check(what, WARNING, missing.reason, missing.remedy)
