"""The process of one short job: ``python -m tuner.daemon.task_process VERB ...``; see `tuner.daemon.tasks`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tuner.config.load import load
from tuner.control import apply_persistently, revert_applied
from tuner.control.restoring import restore_error
from tuner.error_codec import error_to_json
from tuner.errors import TunerError
from tuner.events import Event, Notice, strict
from tuner.opening import Opened, default_context, open_device
from tuner.paths import working_dir
from tuner.ports import Device, OpenContext, Probe, Supported
from tuner.printable import printable
from tuner.profiles import read_profile
from tuner.profiles.applying import board_target
from tuner.rights import rights_of
from tuner.session.interrupts import SignalGuard
from tuner.session.setup import journal_dir, recover_journals, require_restored


def main(argv: Sequence[str] | None = None) -> int:
    """Do the job and write its answer."""
    parser = argparse.ArgumentParser(prog="tuner.daemon.task_process")
    parser.add_argument("--owner", default="0", metavar="UID", help="for whom; empty: only a token is known")
    parser.add_argument("--sysroot", metavar="DIR", help="where the board's files lie (default: this machine)")
    parser.add_argument("verb", choices=_JOBS)
    parser.add_argument("arguments", nargs="*")
    given = parser.parse_args(argv)
    try:
        settings = load({"sysroot": given.sysroot}, os.environ, working_dir())
        context = default_context(settings, rights=rights_of(int(given.owner) if given.owner else None))
        answer = _JOBS[given.verb](context, *given.arguments)
    except TunerError as error:
        answer = {"error": error_to_json(error)}
    sys.stdout.write(json.dumps(strict(answer), allow_nan=False, default=str) + "\n")
    return 0


@contextmanager
def _opened(spec: str, context: OpenContext) -> Iterator[Opened]:
    opened = open_device(spec, context)
    try:
        yield opened
    finally:
        opened.device.close()


def facts(context: OpenContext, spec: str) -> dict[str, Any]:
    """Return what a device is and has."""
    with _opened(spec, context) as opened:
        device: Device = opened.device
        sensors = device.sensors()
        return {
            "device": device.spec,
            "board": device.board,
            "emulated": device.emulated,
            "reason": opened.reason,
            "temperature_c": sensors.temperature_c,
            "power_w": sensors.power_w,
            "options": [_fact(probe) for probe in device.probe()],
        }


def _fact(probe: Probe) -> dict[str, Any]:
    if isinstance(probe, Supported):
        option = probe.option
        return {"name": option.name, "unit": option.unit, "current": probe.current, "values": list(option.values)}
    return {"name": probe.name, "unavailable": probe.reason}


def apply(context: OpenContext, path: str) -> dict[str, Any]:
    """Set a profile's board options, verify them, leave them set; a signal undoes what was set until then."""
    profile = read_profile(Path(path))
    unfinished = recover_journals(_log, context.rights)
    with _opened(profile.device, context) as opened, SignalGuard() as guard:
        device = opened.device
        require_restored(unfinished, device)
        target = board_target(profile, device)
        values = apply_persistently(device.actuator, device.spec, journal_dir(), target, guard.interruptible)
        return {"device": device.spec, "options": values, "note": "set and verified by reading back"}


def revert(context: OpenContext, path: str, force: str = "") -> dict[str, Any]:
    """Put back what applying a profile replaced; with ``force`` also what another program set since."""
    with _opened(read_profile(Path(path)).device, context) as opened, SignalGuard():
        device = opened.device
        report = revert_applied(device.actuator, device.spec, journal_dir(), force == "force")
        if not report.complete:
            raise restore_error(report)
        note = "the device has restarted since and forgot the profile" if report.discarded else ""
        return {"device": device.spec, "options": dict(report.restored), "note": note or "put back"}


def _log(event: Event) -> None:
    if isinstance(event, Notice):
        logging.getLogger("tuner.daemon").warning("%s", printable(event.text))


_JOBS: dict[str, Callable[..., dict[str, Any]]] = {"facts": facts, "apply": apply, "revert": revert}


if __name__ == "__main__":
    sys.exit(main())
