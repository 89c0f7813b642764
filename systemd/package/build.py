"""Builds the Debian package: ``python systemd/package/build.py --arch amd64|arm64 --output DIR``.

No interpreter of the target is run, so arm64 is built on amd64. The virtual environment under /opt/tuner is laid out by
hand: it belongs to the target's own ``/usr/bin/python3.N``, which the package depends on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from texts import completions, man_page
from wheels import Target, collect, pip

from tuner import __version__
from tuner.remote import bundle

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FILES = HERE / "files"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
#: Debian 12's Python; that of JetPack 6 (Ubuntu 22.04).
PYTHONS = {"amd64": "3.11", "arm64": "3.10"}
CONFFILES = ("/etc/tuner/tuner.toml", "/etc/default/tuner-actuator")
DOCS = ("operations.md", "exit-codes.md", "boards.md", "guard.md", "nvpmodel.md")


@dataclass(frozen=True)
class Order:
    """What to build.

    Attributes:
        arch: Debian's name of the architecture.
        python: Version of the Python there.
        version: Of the package.
        compression: As ``dpkg-deb -Z`` takes it.
        output: Folder for the package.
    """

    arch: str
    python: str
    version: str
    compression: str
    output: Path

    @property
    def is_native(self) -> bool:
        """Whether the target's interpreter is one of this machine's."""
        return MACHINES[self.arch] == os.uname().machine and Path(f"/usr/bin/python{self.python}").exists()


def main(argv: Sequence[str] | None = None) -> int:
    """Build and print the package's path."""
    print(build(_order(argv)))
    return 0


def _order(argv: Sequence[str] | None) -> Order:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", choices=sorted(MACHINES), default="amd64")
    parser.add_argument("--python", metavar="3.N", help="the target's Python (amd64: 3.11, arm64: 3.10)")
    parser.add_argument("--version", default=__version__, help="of the package (default: the program's)")
    parser.add_argument("--compression", default="zstd", help="as dpkg-deb -Z takes it; none is fast")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    given = parser.parse_args(argv)
    python = given.python or PYTHONS[given.arch]
    return Order(given.arch, python, given.version, given.compression, given.output)


def build(order: Order) -> Path:
    """Build the package; return its path."""
    order.output.mkdir(parents=True, exist_ok=True)
    made = order.output / f"tuner_{order.version}_{order.arch}.deb"
    with tempfile.TemporaryDirectory(prefix="tuner-deb-") as folder:
        stage = Path(folder) / "stage"
        _environment(stage / "opt/tuner", Path(folder), order)
        _system_files(stage)
        _generated(stage)
        _control(stage, order)
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", f"-Z{order.compression}", "--build", str(stage), str(made)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return made


def _environment(place: Path, work: Path, order: Order) -> None:
    """Create the virtual environment."""
    wheels = work / "wheels"
    pip("wheel", "--no-deps", "--wheel-dir", str(work / "own"), str(ROOT))
    target = Target(MACHINES[order.arch], order.python)
    wheels.mkdir()
    found = collect(next((work / "own").glob("*.whl")), wheels, ROOT / "constraints.txt", target)
    site = place / "lib" / f"python{order.python}" / "site-packages"
    flags = ("--no-deps", "--no-index", "--no-compile", "--target", str(site), *target.pip_flags())
    pip("install", *flags, *map(str, found))
    for unwanted in (site / "bin", site / "share"):
        shutil.rmtree(unwanted, ignore_errors=True)
    (place / "bin").mkdir()
    (place / "bin" / "python").symlink_to(f"/usr/bin/python{order.python}")
    (place / "bin" / "python3").symlink_to("python")
    # On arm64 ONNX Runtime is JetPack's own, in the system's packages; ours come first.
    system = "true" if order.arch == "arm64" else "false"
    config = f"home = /usr/bin\ninclude-system-site-packages = {system}\nversion = {order.python}\n"
    (place / "pyvenv.cfg").write_text(config)
    if order.is_native:
        compileall = f"/usr/bin/python{order.python} -I -m compileall -q -j 2 -p / --invalidation-mode unchecked-hash"
        command = [*compileall.split(), "-s", str(place.parent.parent), str(site)]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


def _system_files(stage: Path) -> None:
    """Copy the files that are written by hand."""
    copies = {
        "tuner": "usr/bin/tuner",
        "tuner.toml": "etc/tuner/tuner.toml",
        "tuner-actuator.default": "etc/default/tuner-actuator",
        "sysusers.conf": "usr/lib/sysusers.d/tuner.conf",
        "tmpfiles.conf": "usr/lib/tmpfiles.d/tuner.conf",
        "copyright": "usr/share/doc/tuner/copyright",
    }
    for name, to in copies.items():
        _write(stage / to, (FILES / name).read_text(), 0o755 if name == "tuner" else 0o644)
    for unit in sorted([*(ROOT / "systemd").glob("*.service"), *(ROOT / "systemd").glob("*.socket")]):
        # Debian 12 and Ubuntu 22.04 have their units below /lib; /usr is merged there.
        _write(stage / "lib/systemd/system" / unit.name, unit.read_text())
    for doc in DOCS:
        _write(stage / "usr/share/doc/tuner" / doc, (ROOT / "docs" / doc).read_text())
    (stage / "etc/tuner/profiles").mkdir()


def _generated(stage: Path) -> None:
    """Write the files that are generated from the program."""
    _write(stage / "usr/share/man/man1/tuner.1", man_page())
    subprocess.run(["gzip", "-9n", str(stage / "usr/share/man/man1/tuner.1")], check=True)
    for path, text in completions().items():
        _write(stage / "usr/share" / path, text)
    _write(stage / "usr/lib/tuner/actuator.pyz", "")
    (stage / "usr/lib/tuner/actuator.pyz").write_bytes(bundle.build())


def _control(stage: Path, order: Order) -> None:
    """Write the package's description and scripts."""
    size_kb = sum(p.lstat().st_size for p in stage.rglob("*")) // 1024
    fields = {
        "Package": "tuner",
        "Version": order.version,
        "Architecture": order.arch,
        "Section": "science",
        "Priority": "optional",
        "Maintainer": "tuner's developers <root@localhost>",
        "Depends": f"python{order.python}, python3, systemd (>= 245)",
        "Installed-Size": str(size_kb),
        "Description": "finds the configuration of a Jetson board that runs a DNN best\n"
        " Applies hardware, OS and runtime options, measures latency and energy under\n"
        " each, and finds the best in a few dozen measurements. What it wrote to the\n"
        " board it takes back.",
    }
    _write(stage / "DEBIAN/control", "".join(f"{key}: {value}\n" for key, value in fields.items()))
    _write(stage / "DEBIAN/conffiles", "".join(f"{path}\n" for path in CONFFILES))
    for script in ("postinst", "prerm", "postrm"):
        text = (FILES / script).read_text().replace("@PYTHON@", f"python{order.python}")
        _write(stage / "DEBIAN" / script, text, 0o755)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


if __name__ == "__main__":
    sys.exit(main())
