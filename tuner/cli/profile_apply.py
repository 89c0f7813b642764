"""Applying a profile to a device, and reverting it: what `tuner profile apply` does and prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tuner.cli.options import opened
from tuner.cli.out import confirm, say
from tuner.control import RestoreReport, apply_persistently, revert_applied
from tuner.control.restoring import restore_error
from tuner.errors import SettingChangedError
from tuner.events import Event, Notice
from tuner.ports import Device
from tuner.profiles import Profile
from tuner.profiles.applying import board_target
from tuner.session.interrupts import SignalGuard
from tuner.session.setup import journal_dir, recover_journals, require_restored
from tuner.space import OptionValue


def apply_profile(profile: Profile, spec: str) -> None:
    """Set all board options of a profile, or none, and print the changes.

    Raises:
        TunerError: it does not fit, or cannot be set; the device is unchanged.
        Interrupted: a signal came; the device is unchanged.
    """
    unfinished = recover_journals(_say)  # first: a half-set board may hide options and levels
    with opened(spec) as device:
        require_restored(unfinished, device)
        wanted = board_target(profile, device)
        current = _read(device, wanted)
        with SignalGuard() as guard:
            values = apply_persistently(device.actuator, device.spec, journal_dir(), wanted, guard.interruptible)
        for name in wanted:
            say(_change(profile, name, current[name], values.get(name, wanted[name])))
        emulated = f"the emulated board {device.board}: no real hardware was touched"
        say(f"Set and verified by reading back on {emulated if device.emulated else device.board}.")


def dry_run_profile(profile: Profile, spec: str) -> None:
    """Print what `apply_profile` would write."""
    with opened(spec) as device:
        wanted = board_target(profile, device)
        current = _read(device, wanted)
        for name, value in wanted.items():
            say(_change(profile, name, current[name], value))
    say("Nothing was written (--dry-run).")


def revert_profile(spec: str, force: bool) -> None:
    """Restore what applied profiles replaced; ask on a terminal if another program set an option since.

    Raises:
        SettingChangedError: it did, and there is no terminal to ask on, or the answer is no.
        RestoreError: not every option could be restored. UsageError: nothing is applied.
    """
    with opened(spec) as device:
        report = _reverted(device, force)
    if not report.complete:
        raise restore_error(report)
    if report.discarded:
        say("The device has restarted since and lost the profile: nothing to put back.")
        return
    for name, value in report.restored.items():
        say(f"{name}: back to {value}")
    say("Put back and verified by reading back.")


def _reverted(device: Device, force: bool) -> RestoreReport:
    try:
        return _put_back(device, force)
    except SettingChangedError as error:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        say(error.what, err=True)
        if not confirm("Put back what was there before the profile?"):
            raise
    return _put_back(device, force=True)


def _put_back(device: Device, force: bool) -> RestoreReport:
    with SignalGuard():  # a revert that has begun is finished
        return revert_applied(device.actuator, device.spec, journal_dir(), force)


def _read(device: Device, wanted: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    return {name: device.actuator.read_option(name) for name in wanted}


def _say(event: Event) -> None:
    if isinstance(event, Notice):
        say(f"{event.level}: {event.text}", err=True)


def _change(profile: Profile, name: str, old: OptionValue, new: OptionValue) -> str:
    unit = f" {profile.options[name].unit}" if profile.options[name].unit else ""
    return f"{name}: {old} -> {new}{unit}" if old != new else f"{name}: {new}{unit} (as it was)"


def say_runtime(profile: Profile) -> None:
    """Print the options of a profile that belong to the workload."""
    runtime = profile.configuration("workload")
    if runtime:
        say(
            f"Runtime options are not the board's; set them in your program: {_assignments(runtime)}.",
            "`tuner profile export --format shell` gives them as environment variables.",
        )


def _assignments(options: Mapping[str, OptionValue]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())
