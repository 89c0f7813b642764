"""The wheels that a program needs on another machine, for its architecture and its Python.

pip judges environment markers by the interpreter that runs it, so they are judged here, for the target.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename


@dataclass(frozen=True)
class Target:
    """A machine to install on.

    Attributes:
        machine: As `uname -m` says.
        python: Its Python, "3.11".
    """

    machine: str
    python: str

    def environment(self) -> Mapping[str, str]:
        """Return the environment that markers are evaluated in."""
        return {
            "platform_machine": self.machine,
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }

    def pip_flags(self) -> Sequence[str]:
        """Return the flags that make pip choose wheels for there."""
        glibc = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 36)))
        platforms = [flag for name in glibc for flag in ("--platform", f"{name}_{self.machine}")]
        return (*platforms, "--python-version", self.python, "--implementation", "cp", "--only-binary=:all:")


def pip(*arguments: str) -> None:
    """Run pip; the build fails if it fails."""
    subprocess.run([sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", *arguments], check=True)


def pins(constraints: Path, target: Target) -> Mapping[str, str]:
    """Return name -> specifier of the constraints that hold for the target."""
    found = {}
    for line in constraints.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate(dict(target.environment())):
                found[canonicalize_name(wanted.name)] = str(wanted.specifier)
    return found


def collect(wheel: Path, folder: Path, constraints: Path, target: Target) -> Sequence[Path]:
    """Download what `wheel` needs there, level by level; return all wheels, its own first."""
    pinned = pins(constraints, target)
    found, waiting = {canonicalize_name(parse_wheel_filename(wheel.name)[0]): wheel}, [wheel]
    while waiting:
        names = {n for path in waiting for n in _needs(path, target)} - set(found)
        wanted = {name: f"{name}{pinned.get(name, '')}" for name in sorted(names)}
        if wanted:
            pip("download", "--no-deps", "--dest", str(folder), *target.pip_flags(), *wanted.values())
        here = {canonicalize_name(parse_wheel_filename(p.name)[0]): p for p in sorted(folder.glob("*.whl"))}
        waiting = [here[name] for name in names]
        found.update({name: here[name] for name in names})
    return list(found.values())


def _needs(wheel: Path, target: Target) -> Iterable[str]:
    """Yield the names that a wheel requires there, extras left out."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(archive.read(name), headersonly=True)
    for text in metadata.get_all("Requires-Dist") or ():
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({**target.environment(), "extra": ""}):
            yield canonicalize_name(wanted.name)
