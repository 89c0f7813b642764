"""The actuator's command, as it runs on the board out of a bundle (`tuner.remote.bundle`).

Over standard input and output for one session (``--board ssh://...``), or as a service on a Unix socket. The bundle
says which devices, meters and helper programs there are; nothing else can be named.
"""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import pwd
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Iterator, Sequence  # noqa: UP035 - on a board: Python 3.8

from tuner.config.values import Settings
from tuner.errors import FileMissingError, TunerError, UnknownDeviceError, UsageError
from tuner.ports.device import Device, DevicePlugin, OpenContext
from tuner.ports.meter import SelectableMeter
from tuner.ports.timing import NeverStop
from tuner.ports.workload import PowerMeter
from tuner.remote import listen
from tuner.remote.board import OwnedBoard
from tuner.remote.channel import Channel
from tuner.remote.protocol import MAX_REQUEST
from tuner.remote.server import Server
from tuner.remote.serving import SignalPipe, say, serve_one

LAUNCH = "launch.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    given = _parser().parse_args(argv)
    try:
        launch = _launch()
        if given.program:
            return _run_program(launch, given.program)
        return _serve(launch, given)
    except TunerError as error:
        say(str(error))
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="tuner-actuator", description="Owns a board for one session at a time.")
    made.add_argument("--device", default="auto", metavar="SPEC", help="auto (default), or NAME[:ARGUMENT]")
    made.add_argument("--sysroot", metavar="DIR", help="where the board's files lie (default: this machine)")
    made.add_argument("--state-dir", metavar="DIR", help="where the journal is kept (default: the user's)")
    made.add_argument("--socket", metavar="PATH", help="serve one session after the other on a Unix socket")
    made.add_argument("--group", metavar="NAME", help="whose members may use the socket (root always may)")
    made.add_argument("--program", metavar="NAME", help="run a workload's helper instead, with no privilege")
    return made


def _launch() -> dict[str, Any]:
    """Return what the bundle holds.

    Raises:
        FileMissingError: this does not run out of a bundle.
    """
    try:
        data = pkgutil.get_data("tuner.remote", LAUNCH)
    except OSError:
        data = None
    if data is None:
        raise FileMissingError(
            "The actuator runs out of a bundle only.",
            "Make one with `python -m tuner.remote.bundle FILE`, and run `python3 -I FILE`.",
        )
    launch: dict[str, Any] = json.loads(data)
    return launch


def _run_program(launch: dict[str, Any], name: str) -> int:
    if name not in launch["programs"]:
        raise UsageError(f"The bundle has no program '{name}'.", f"It has {', '.join(launch['programs'])}.")
    import_module(name).main()
    return 0


def _serve(launch: dict[str, Any], given: argparse.Namespace) -> int:
    journal_dir = Path(given.state_dir or _state_dir()) / "journals"
    journal_dir.mkdir(parents=True, exist_ok=True)
    context = OpenContext(Settings(sysroot=given.sysroot), str(journal_dir.parent), NeverStop())

    def open_board() -> OwnedBoard:
        return OwnedBoard(lambda: _open(launch, given.device, context), journal_dir)

    signals = SignalPipe()
    if given.socket or listen.from_systemd():
        return listen.serve(given.socket, given.group, open_board, signals)
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever prints by mistake must not look like a reply
    return serve_one(Server(open_board), Channel(0, answers, MAX_REQUEST), signals)


def _open(launch: dict[str, Any], spec: str, context: OpenContext) -> tuple[Device, Sequence[PowerMeter]]:
    """Open the device that `spec` names, ``auto`` being the board that this is, else the fallback.

    Raises:
        UnknownDeviceError: the bundle has no such device. TunerError: it cannot be opened.
    """
    plugins: dict[str, DevicePlugin] = {name: _made(where) for name, where in launch["devices"].items()}
    name, colon, argument = spec.partition(":")
    if spec == "auto":
        detected = [p for p in plugins.values() if p.detect(context) is not None]
        plugin = next(iter(detected + [p for p in plugins.values() if p.is_fallback]), None)
    else:
        plugin = plugins.get(name)
    if plugin is None:
        raise UnknownDeviceError(spec, ["auto", *plugins])
    device = plugin.open(argument if colon else None, context)
    root = Path(context.settings.sysroot or "/")
    meters: list[PowerMeter] = [_made(where, root) for where in launch["meters"].values()]
    return device, [*device.meters(), *meters, *_each_sensor(meters)]


def _each_sensor(meters: Sequence[PowerMeter]) -> Iterator[PowerMeter]:
    """Yield the sensors of meters that have several, each as a meter of its own name (``hwmon:nic``)."""
    for meter in meters:
        if not isinstance(meter, SelectableMeter):
            continue
        choices = meter.choices()
        yield from (meter.select(choice) for choice in choices if len(choices) > 1)


def _made(where: str, *arguments: object) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)(*arguments)


def _state_dir() -> str:
    """Return where tuner keeps its state for this user when it runs on the board: both use one lock."""
    home = os.environ.get("TUNER_STATE_DIR")
    return home or os.path.join(pwd.getpwuid(os.geteuid()).pw_dir, ".local", "state", "tuner")


if __name__ == "__main__":
    sys.exit(main())
