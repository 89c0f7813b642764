"""`tuner profile`: show, validate, compare, apply, export and import profile files, also at boot."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import click

from tuner import registry
from tuner.boards.board import load_board
from tuner.cli.options import given_sysroot, open_context, opened
from tuner.cli.out import say, write_document
from tuner.cli.profile_boot import disable, enable
from tuner.cli.profile_entry import export_into, import_entry, supported
from tuner.cli.profile_text import change_lines, profile_lines
from tuner.errors import TunerError, UnknownBoardError, UnknownNameError, UsageError
from tuner.files import atomic_write
from tuner.opening import open_workload
from tuner.ports import Device
from tuner.profiles import Profile, read_profile, write_profile
from tuner.profiles.diff import diff_profiles
from tuner.profiles.validate import require_board, require_valid
from tuner.profiles.validate import validate as problems_of
from tuner.space import Option

_FILE = click.Path(path_type=Path)
_PATH = click.argument("path", type=_FILE)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")


@click.group("profile")
def command() -> None:
    """Show, validate, compare, apply, export or import profile files."""


command.add_command(enable)
command.add_command(disable)


@command.command()
@_PATH
@_JSON
def show(path: Path, as_json: bool) -> None:
    """Print a profile."""
    profile = read_profile(path)
    if as_json:
        write_document(_export(profile, "json"))
    else:
        say(*profile_lines(profile))


@command.command()
@_PATH
def validate(path: Path) -> None:
    """Check a profile's form, and that its board has its options."""
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
@click.argument("left", type=_FILE)
@click.argument("right", type=_FILE)
def diff(left: Path, right: Path) -> None:
    """Print the differences between two profiles."""
    changes = diff_profiles(read_profile(left), read_profile(right))
    if changes:
        say(*change_lines(changes, str(left), str(right)))
    else:
        say("The profiles say the same.")


@command.command("apply")
@click.argument("path", type=_FILE, required=False)
@click.option("--device", "spec", metavar="SPEC", help="Where to set it.  [default: the profile's device]")
@click.option("--revert", is_flag=True, help="Restore what an earlier apply replaced. Needs no PATH.")
@click.option("--force", is_flag=True, help="With --revert: also where another program set an option since.")
@click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
def apply_command(path: Path | None, spec: str | None, revert: bool, force: bool, dry_run: bool) -> None:
    """Set a profile's board options and verify them.

    They stay set until --revert or a reboot.
    """
    from tuner.cli.profile_apply import apply_profile, dry_run_profile, revert_profile, say_runtime
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
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write there, not to stdout.")
@click.option("--into", type=_FILE, metavar="CONF", help="Add it to this file (nvpmodel.conf), or replace.")
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
    if into is None and (name or make_default or check or spec):
        raise UsageError("--name, --default, --check and --device go with --into.", "Name the file with --into.")
    if into is not None and output is not None:
        raise UsageError("--into and --output do not go together.", "Give one of them.")
    profile = read_profile(path)
    if into is not None:
        with opened(spec or profile.device) as device:
            export_into(profile, device, form=form, conf=into, name=name, make_default=make_default, check=check)
        return
    text = _export(profile, form)
    if output is None:
        write_document(text)
    else:
        atomic_write(output, text)
        say(f"Wrote {output}.", err=True)


@command.command("import")
@click.option("--nvpmodel", "conf", required=True, type=_FILE, metavar="CONF", help="File of power modes.")
@click.option("--mode", required=True, metavar="NAME|ID", help="The mode.")
@click.option("-o", "--output", required=True, type=_FILE, metavar="FILE", help="Profile to write.")
@click.option("--device", "spec", default="auto", metavar="SPEC", help="The board of CONF.  [default: auto]")
def import_command(conf: Path, mode: str, output: Path, spec: str) -> None:
    """Make a profile of one power mode of a board."""
    with opened(spec) as device:
        profile, entry = import_entry("nvpmodel", conf, mode, device)
    write_profile(output, profile)
    say(f"Wrote {output}: mode {entry.name} as a profile of {len(profile.options)} options.")
    for note in entry.notes:
        say(note)


def _export(profile: Profile, form: str) -> str:

    text: str = registry.create("exporters", form).export(profile)
    return text


def _options_for(profile: Profile) -> tuple[Sequence[Option] | None, str]:
    """Return the options that a profile is checked against, and their origin; else None, and the reason.

    The levels of the device that the profile names count, as its kernel lists them. If it is not here, the board file
    is used, if it names every option of the profile.

    Raises:
        WrongBoardError: the device is another board.
        UnknownNameError: there is no such device.
    """
    try:
        declared = load_board(profile.board).options
    except UnknownBoardError:
        declared = ()
    with contextlib.ExitStack() as stack:
        try:
            device = stack.enter_context(opened(profile.device))
        except TunerError as error:
            if declared and set(profile.configuration("board")) <= {o.name for o in declared}:
                return declared, f"board '{profile.board}'"
            if isinstance(error, UnknownNameError):
                raise  # the profile names a device that does not exist
            return None, f"its device '{profile.device}' cannot be opened here: {error}"
        require_board(profile, device.board)
        found = supported(device)
        if found == list(declared):
            return declared, f"board '{profile.board}'"
        return [*found, *_workload_options(profile, device)], f"device '{device.spec}'"


def _workload_options(profile: Profile, device: Device) -> list[Option]:
    """Return the options of the profile's workload; none where it cannot be opened here."""
    if not profile.configuration("workload"):
        return []
    try:
        spec = profile.environment.get("workload")
        workload = device.own_workload(spec) or open_workload(spec, open_context())
        return supported(workload)
    except TunerError:
        return []  # the caller reports which options stay unchecked
