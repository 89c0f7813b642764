"""`tuner profile enable|disable`: a profile that is applied at each boot."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import click

from tuner.errors import PermissionDeniedError, ServiceManagerError, UnknownProfileError, UsageError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def profile_folder() -> Path:
    """Return where the profiles of the boot lie; `tuner-apply@.service` reads them there."""
    from tuner.config.load import SYSTEM_DIR

    return Path(os.environ.get("TUNER_SYSTEM_CONFIG_DIR") or SYSTEM_DIR) / "profiles"


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Name of the unit's instance.  [default: the profile's]")
def enable(path: Path, name: str | None) -> None:
    """Apply a profile at each boot, by systemd. If it does not fit or does not hold, the board stays stock."""
    from tuner.profiles import atomic_write, read_profile

    profile = read_profile(path)
    instance = name or _safe(profile.name)
    _require_name(instance)
    _require_systemd()
    target = profile_folder() / f"{instance}.toml"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise PermissionDeniedError(f"{target} cannot be written.", "Run it as root.") from error
    _systemctl("enable", f"tuner-apply@{instance}.service")
    click.echo(f"{profile.name} is applied at each boot (tuner-apply@{instance}.service, {target}).")
    click.echo(f"`tuner profile disable {instance}` ends that; `tuner profile apply {path}` applies it now.")


@click.command()
@click.argument("name")
def disable(name: str) -> None:
    """Apply a profile at boot no more. The board keeps what it has until it restarts."""
    _require_name(name)
    _require_systemd()
    target = profile_folder() / f"{name}.toml"
    if not target.exists():
        raise UnknownProfileError(name, (p.stem for p in profile_folder().glob("*.toml")))
    _systemctl("disable", f"tuner-apply@{name}.service")
    try:
        target.unlink()
    except PermissionError as error:
        raise PermissionDeniedError(f"{target} cannot be removed.", "Run it as root.") from error
    click.echo(f"{name} is not applied at boot any more.")


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".-")[:100] or "profile"


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is no name for a unit.", "Use letters, digits, '_', '.' and '-', a letter first."
        )


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
