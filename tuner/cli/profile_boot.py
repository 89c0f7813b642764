"""`tuner profile enable|disable`: a profile that is applied at each boot."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import click

from tuner import filenames
from tuner.cli.out import say
from tuner.config.load import SYSTEM_DIR
from tuner.errors import PermissionDeniedError, ServiceManagerError, TunerError, UnknownProfileError, UsageError
from tuner.files import atomic_write
from tuner.profiles import read_profile

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
# Characters of `filenames.encode` that a unit's name may not contain, and their replacements, which no plain name has.
_UNIT_LETTERS = str.maketrans({"%": ":", "=": "@", "+": "@@"})


def profile_folder() -> Path:
    """Return the folder of the profiles that `tuner-apply@.service` applies at boot."""
    return Path(os.environ.get("TUNER_SYSTEM_CONFIG_DIR") or SYSTEM_DIR) / "profiles"


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Name of the unit's instance.  [default: the profile's]")
def enable(path: Path, name: str | None) -> None:
    """Apply a profile at each boot, by systemd. The board stays as it booted if the profile does not fit or hold."""
    profile = read_profile(path)
    if name is not None and not _PLAIN.fullmatch(name):
        raise UsageError(f"'{name}' is no name for a unit.", "Use letters, digits, '_', '.' and '-', a letter first.")
    _require_systemd()
    kept = _file_of(name or profile.name)
    instance = kept.stem
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(kept, path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise PermissionDeniedError(f"{kept} cannot be written.", "Run it as root.") from error
    _systemctl("enable", f"tuner-apply@{instance}.service")
    say(f"{profile.name} is applied at each boot (tuner-apply@{instance}.service, {kept}).")
    apply = f"tuner profile apply {shlex.quote(str(path))}"
    say(f"`tuner profile disable {instance}` ends that; `{apply}` applies it now.")


@click.command()
@click.argument("name")
def disable(name: str) -> None:
    """Stop applying a profile at boot. The board keeps it until it restarts."""
    _require_systemd()
    kept = _enabled(name)
    instance = kept.stem
    if not kept.exists():
        raise UnknownProfileError(name, (p.stem for p in profile_folder().glob("*.toml")))
    _systemctl("disable", f"tuner-apply@{instance}.service")
    try:
        kept.unlink()
    except PermissionError as error:
        raise PermissionDeniedError(f"{kept} cannot be removed.", "Run it as root.") from error
    say(f"{name} is not applied at boot any more.")


def _file_of(name: str) -> Path:
    """Return the file of the profile `name`, also if an older version named that file otherwise."""
    earlier = re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".-")[:100] or "profile"
    return filenames.kept(
        profile_folder() / f"{_instance(name)}.toml",
        profile_folder() / f"{earlier}.toml",
        lambda path: _name_in(path) == name,
    )


def _name_in(path: Path) -> str | None:
    try:
        return read_profile(path).name
    except TunerError:
        return None


def _instance(name: str) -> str:
    """Return the unit's instance for a profile's name: the name itself if systemd accepts it."""
    return name if _PLAIN.fullmatch(name) else ":" + filenames.encode(name).translate(_UNIT_LETTERS)


def _enabled(name: str) -> Path:
    """Return the file of `name`, which is an instance that `enable` printed or a profile's name."""
    named = [path for path in profile_folder().glob("*.toml") if path.stem == name]
    return named[0] if named else _file_of(name)


def _require_systemd() -> None:
    # What `sd_booted(3)` looks at.
    if not Path("/run/systemd/system").is_dir():
        raise ServiceManagerError(
            "This system was not started by systemd, so nothing would apply the profile.",
            "Call `tuner profile apply FILE` from what starts your services.",
        )


def _systemctl(*arguments: str) -> None:
    try:
        done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ServiceManagerError("There is no `systemctl`.", "Install systemd's tools.") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise ServiceManagerError(
            f"`systemctl {' '.join(arguments)}` failed: {said[-1] if said else done.returncode}.",
            "Run it as root; the package installs the unit.",
        )
