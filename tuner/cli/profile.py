"""`tuner profile`: show, validate, compare, apply, export and import profile files, also at boot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuner.cli._boot import disable, enable
from tuner.cli.out import say, write_document
from tuner.errors import TunerError, UnknownBoardError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from tuner.ports import Device
    from tuner.profiles import Profile
    from tuner.space import Option

_PATH = click.argument("path", type=click.Path(path_type=Path))


@click.group("profile")
def command() -> None:
    """Show, validate, compare, apply, export or import profile files."""


command.add_command(enable)
command.add_command(disable)


@command.command()
@_PATH
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")
def show(path: Path, as_json: bool) -> None:
    """Print what a profile says."""
    from tuner.cli._profile_text import profile_lines
    from tuner.profiles import read_profile

    profile = read_profile(path)
    if as_json:
        write_document(_export(profile, "json"))
    else:
        say(*profile_lines(profile))


@command.command()
@_PATH
def validate(path: Path) -> None:
    """Check a profile's form, and that its board has the options and the values."""
    from tuner.profiles import read_profile
    from tuner.profiles.validate import require_valid
    from tuner.profiles.validate import validate as problems_of

    profile = read_profile(path)
    options, against = _options_for(profile)
    if options is None:
        say(f"ok: {path} is well-formed. Its options were not checked: {against}")
        return
    problems = problems_of(profile, options)
    for problem in problems if len(problems) > 1 else ():
        say(f"problem: {problem}")
    require_valid(profile, options)
    say(f"ok: {path} fits {against}.")
    known = {o.name for o in options}
    unchecked = [name for name in profile.options if name not in known]
    if unchecked:
        say(f"Runtime options that only the workload knows were not checked: {', '.join(unchecked)}.")


@command.command()
@click.argument("left", type=click.Path(path_type=Path))
@click.argument("right", type=click.Path(path_type=Path))
def diff(left: Path, right: Path) -> None:
    """Print what differs between two profiles."""
    from tuner.cli._profile_text import change_lines
    from tuner.profiles import read_profile
    from tuner.profiles.diff import diff_profiles

    changes = diff_profiles(read_profile(left), read_profile(right))
    if changes:
        say(*change_lines(changes, str(left), str(right)))
    else:
        say("The profiles say the same.")


@command.command("apply")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--device", "spec", metavar="SPEC", help="Where to set it.  [default: the profile's device]")
@click.option("--revert", is_flag=True, help="Put back what an earlier apply replaced. Needs no PATH.")
@click.option("--force", is_flag=True, help="With --revert: also where another program set an option since.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
def apply_command(path: Path | None, spec: str | None, revert: bool, force: bool, dry_run: bool) -> None:
    """Set a profile's board options, verify them, and leave them set (until --revert or a reboot)."""
    from tuner.cli._profile_apply import apply_profile, dry_run_profile, revert_profile, say_runtime
    from tuner.cli.options import given_sysroot
    from tuner.profiles import read_profile
    from tuner.profiles.applying import apply_line

    if revert and dry_run:
        raise UsageError("--revert and --dry-run do not go together.", "Give one of them.")
    if force and not revert:
        raise UsageError("--force goes with --revert.", "Leave it out.")
    if revert:
        revert_profile(spec or (read_profile(path).device if path else "auto"), force)
        return
    if path is None:
        raise UsageError("There is no profile to apply.", "Name its file.")
    profile = read_profile(path)
    if dry_run:
        dry_run_profile(profile, spec or profile.device)
        say_runtime(profile)
        return
    apply_profile(profile, spec or profile.device)
    undo = apply_line(path, "--revert", device=spec, sysroot=given_sysroot())
    say(f"`{undo}` undoes it.")
    say_runtime(profile)


@command.command()
@_PATH
@click.option("--format", "form", required=True, metavar="NAME", help="shell, json or nvpmodel.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to stdout.")
@click.option(
    "--into", type=click.Path(path_type=Path), metavar="CONF", help="Add it to this file (nvpmodel.conf), or replace."
)
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the entry in CONF.  [default: TUNER_ and the objective, or the imported mode's]",
)
@click.option("--default", "make_default", is_flag=True, help="Make the entry the default of CONF.")
@click.option("--check", is_flag=True, help="Check profile and CONF against the board, and write nothing.")
@click.option("--device", "spec", metavar="SPEC", help="The board of CONF.  [default: the profile's device]")
def export(
    path: Path,
    form: str,
    output: Path | None,
    into: Path | None,
    name: str | None,
    make_default: bool,
    check: bool,
    spec: str | None,
) -> None:
    """Write a profile in a format that other tools take."""
    from tuner.files import atomic_write
    from tuner.profiles import read_profile

    if into is None and (name or make_default or check or spec):
        raise UsageError("--name, --default, --check and --device go with --into.", "Name the file with --into.")
    if into is not None and output is not None:
        raise UsageError("--into and --output do not go together.", "Give one of them.")
    profile = read_profile(path)
    if into is not None:
        from tuner.cli._profile_into import export_into

        with _open(spec or profile.device) as device:
            export_into(profile, form, into, device, name, make_default, check)
        return
    text = _export(profile, form)
    if output is None:
        write_document(text)
    else:
        atomic_write(output, text)
        say(f"Wrote {output}.", err=True)


@command.command("import")
@click.option(
    "--nvpmodel", "conf", required=True, type=click.Path(path_type=Path), metavar="CONF", help="File of power modes."
)
@click.option("--mode", required=True, metavar="NAME|ID", help="The mode.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Profile to write."
)
@click.option("--device", "spec", default="auto", metavar="SPEC", help="The board of CONF.  [default: auto]")
def import_command(conf: Path, mode: str, output: Path, spec: str) -> None:
    """Make a profile of one power mode of a board."""
    from tuner.cli._profile_into import import_entry
    from tuner.profiles import write_profile

    with _open(spec) as device:
        profile, entry = import_entry("nvpmodel", conf, mode, device)
    write_profile(output, profile)
    say(f"Wrote {output}: mode {entry.name} as a profile of {len(profile.options)} options.")
    for note in entry.notes:
        say(note)


def _export(profile: Profile, form: str) -> str:
    from tuner import registry

    text: str = registry.create("exporters", form).export(profile)
    return text


@contextlib.contextmanager
def _open(spec: str) -> Iterator[Device]:
    from tuner.cli.options import open_context
    from tuner.opening import open_device

    device = open_device(spec, open_context()).device
    try:
        yield device
    finally:
        device.close()


def _options_for(profile: Profile) -> tuple[Sequence[Option] | None, str]:
    """Return the options that a profile is checked against and whose they are, else None and why not.

    The device itself is asked, as the profile names it: its kernel's levels count. Where it is not here, the
    board file is taken, if it names every option of the profile.

    Raises:
        WrongBoardError: the device is another board.
        UnknownNameError: there is no such device.
    """
    from tuner.boards.board import load_board
    from tuner.cli._profile_into import supported
    from tuner.profiles.validate import require_board

    try:
        declared = load_board(profile.board).options
    except UnknownBoardError:
        declared = ()
    with contextlib.ExitStack() as stack:
        try:
            device = stack.enter_context(_open(profile.device))
        except TunerError as error:
            if declared and set(profile.configuration("board")) <= {o.name for o in declared}:
                return declared, f"board '{profile.board}'"
            if isinstance(error, UnknownNameError):
                raise  # the profile names what nobody has
            return None, f"its device '{profile.device}' cannot be opened here: {error}"
        require_board(profile, device.board)
        found = supported(device)
        if found == list(declared):
            return declared, f"board '{profile.board}'"
        return [*found, *_workload_options(profile, device)], f"device '{device.spec}'"


def _workload_options(profile: Profile, device: Device) -> list[Option]:
    """Return the options of the profile's workload; none where it cannot be opened here."""
    from tuner.cli.options import open_context
    from tuner.opening import open_workload
    from tuner.ports import Supported

    if not profile.configuration("workload"):
        return []
    try:
        workload = open_workload(profile.environment.get("workload"), device, open_context())
        return [p.option for p in workload.probe() if isinstance(p, Supported)]
    except TunerError:
        return []  # the caller says which options stay unchecked
