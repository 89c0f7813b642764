"""Whatever becomes of tuner's own small files: a command ends with a code of its own and waits for nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environments.child import run
from tests.environments.commands import EMULATED
from tests.environments.test_never_70 import PROFILE, own, wrong

SPOILT: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 16),
    "another JSON": lambda path: path.write_text("[1]"),
    "nested deeply": lambda path: path.write_text("[" * 20_000),
    "huge numbers": lambda path: path.write_text(
        '{"pid": 1e400, "updated_s": ' + "9" * 5000 + ', "options": 1, "boot_id": 1}'
    ),
    "wrong types": lambda path: path.write_text(
        '{"study": [], "state": "running", "pid": {}, "updated_s": "x", "options": [], "best_value": "x"}'
    ),
    "odd numbers": lambda path: path.write_text(
        '{"study": "s", "state": "running", "pid": 1e300, "updated_s": null, "trials": "x"}'
    ),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
    "endless": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    "huge": lambda path: os.truncate(path, 1 << 40),
    "loop": lambda path: (path.unlink(), path.symlink_to(path.name)),
}
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("status", "--json"),
    ("status", "none"),
    ("doctor", "--json"),
    ("restore",),
    ("profile", "apply", "p.toml"),
    ("profile", "apply", "p.toml", "--revert"),
    ("start", "--plain", "--foreground", *EMULATED),
)
#: What a run that is not to take long tries.
QUICK = ("FIFO", "nested deeply")
#: Folder of the state directory -> files of it.
KINDS = ("sessions/*.json", "emulated/*.json", "journals/*.lock", "journals/*")


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a session has run and a profile is applied."""
    place = tmp_path_factory.mktemp("used")
    (place / "work").mkdir()
    (place / "work" / "p.toml").write_text(PROFILE)
    for command in (COMMANDS[-1], ("profile", "apply", "p.toml")):
        assert run(command, place / "work", environment(place)).code == 0
    return place


def environment(place: Path) -> dict[str, str]:
    """Return what keeps a command, the boards' locks included, within a folder."""
    return {**own(place), "TUNER_LOCK_DIR": str(place / "state" / "locks")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [h if h in QUICK else pytest.param(h, marks=pytest.mark.slow) for h in SPOILT])
def test_no_command_fails_or_hangs(how: str, kind: str, used: Path, tmp_path: Path) -> None:
    assert list((used / "state").glob(kind))
    found = []
    for number, command in enumerate(COMMANDS):
        place = tmp_path / str(number)
        shutil.copytree(used, place)
        for path in (place / "state").glob(kind):
            SPOILT[how](path)
        found.append(wrong(run(command, place / "work", environment(place)), command))
        shutil.rmtree(place)
    assert not any(found), "\n".join(filter(None, found))
