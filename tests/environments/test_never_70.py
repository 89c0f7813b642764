"""Whatever the folders, files and streams are: no command fails in a way it should not (70), and none hangs."""

from __future__ import annotations

import importlib
import os
import resource
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.environments.child import Ended, run, without_rights
from tests.environments.commands import COMMANDS, FILE, OUTPUT, READERS, WRITERS

PROFILE = """schema_version = 1
name = "p"
board = "jetson-tx2"
device = "emulated:jetson-tx2"
emulated = true
created = "2026-01-01T00:00:00+00:00"
tuner_version = "0.1.0"
study = "none"
objective = "none"
feasible = true
constraints = []

[options]
cpu_freq_khz = {value = 1267200, scope = "board"}
"""
TABLE = "cores,inference_time_s,energy_j\n" + "".join(f"{n},{n / 7},{n / 3}\n" for n in range(1, 9))


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """Load what most commands load, once, so that the children have it."""
    for module in ("optuna", "rich.table", "tuner.cli.main", "tuner.daemon.client", "tuner.session.run"):
        importlib.import_module(module)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a profile, a table and room for what a command makes."""
    tmp_path.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    (work / "p.toml").write_text(PROFILE)
    (work / "t.csv").write_text(TABLE)
    return tmp_path


def own(place: Path) -> dict[str, str]:
    """Return what keeps a command within the test's folder."""
    return {
        "TUNER_STATE_DIR": str(place / "state"),
        "TUNER_DATA_DIR": str(place / "data"),
        "TUNER_CONFIG_DIR": str(place / "config"),
        "TUNER_SYSTEM_CONFIG_DIR": str(place / "etc"),
        "TUNER_SOCKET": str(place / "d.sock"),
        "HOME": str(place / "home"),
    }


def wrong(ended: Ended, arguments: Sequence[object]) -> str:
    """Return what is wrong with how a command ended, ``""`` where nothing is."""
    failed = ended.code < 0 or ended.code in (70, 97, 98, 99)
    if failed or "Traceback" in ended.err or "Exception ignored" in ended.err:
        return f"{arguments} ended with {ended.code}:\n{ended.out}{ended.err}"
    return ""


def check(commands: Iterable[Sequence[str | bytes]], *how: Any) -> None:
    """Run commands, each as `how` says; all that is wrong is told together."""
    found = [wrong(run(command, *how), command) for command in commands]
    assert not any(found), "\n".join(filter(None, found))


#: A run that is not to take long meets a third of the commands in each environment, other ones in the next.
SHARES = [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))]


def _share(environment: int, share: int) -> Sequence[Sequence[str]]:
    return COMMANDS[(environment + share) % len(SHARES) :: len(SHARES)]


# --- folders ---------------------------------------------------------------------------------------


def _folder_is_a_file(name: str) -> Callable[[Path, dict[str, str]], None]:
    def make(place: Path, environment: dict[str, str]) -> None:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no folder\n")

    return make


def _file_is_a_folder(name: str) -> Callable[[Path, dict[str, str]], None]:
    return lambda place, environment: (place / name).mkdir(parents=True)


def _set(**values: str) -> Callable[[Path, dict[str, str]], None]:
    def make(place: Path, environment: dict[str, str]) -> None:
        for unset in ("TUNER_STATE_DIR", "TUNER_DATA_DIR", "TUNER_CONFIG_DIR"):
            if unset not in values:
                del environment[unset]
        environment.update({k: v.format(place=place) for k, v in values.items()})

    return make


FOLDERS = {
    "HOME is a file": _set(HOME="/etc/hostname"),
    "HOME cannot be written": _set(HOME="/proc/self"),
    "HOME is empty": _set(HOME=""),
    "HOME is relative": _set(HOME="nowhere"),
    "HOME is no text": _set(HOME="/proc/\udcff"),
    "XDG folders are /dev/null": _set(XDG_STATE_HOME="/dev/null", XDG_DATA_HOME="/dev/null"),
    "XDG_CONFIG_HOME is /dev/null": _set(XDG_CONFIG_HOME="/dev/null", HOME="{place}"),
    "state in /proc": _set(TUNER_STATE_DIR="/proc/x"),
    "data in /proc": _set(TUNER_DATA_DIR="/proc/x"),
    "names too long": _set(TUNER_STATE_DIR="{place}/" + "x" * 300, TUNER_DATA_DIR="{place}/" + "y" * 300),
    "state is a loop": _set(TUNER_STATE_DIR="{place}/loop", TUNER_DATA_DIR="{place}/loop"),
    "config is a file": _set(TUNER_CONFIG_DIR="/etc/hostname"),
    "journals is a file": _folder_is_a_file("state/journals"),
    "sessions is a file": _folder_is_a_file("state/sessions"),
    "daemon is a file": _folder_is_a_file("state/daemon"),
    "profiles is a file": _folder_is_a_file("data/profiles"),
    "sources is a file": _folder_is_a_file("data/sources"),
    "database is a folder": _file_is_a_folder("data/studies.db"),
    "database is garbage": _folder_is_a_file("data/studies.db"),
    "tuner.toml is a folder": _file_is_a_folder("config/tuner.toml"),
    "emulated is a file": _folder_is_a_file("state/emulated"),
    "a journal is a folder": _file_is_a_folder("state/journals/host.journal"),
    "a lock is a folder": _file_is_a_folder("state/journals/emulated%3Ajetson-tx2.lock"),
    "socket is a folder": _file_is_a_folder("d.sock"),
    "socket is a file": _folder_is_a_file("d.sock"),
}


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("what", FOLDERS)
def test_folders_that_are_none(what: str, share: int, place: Path) -> None:
    environment = own(place)
    (place / "loop").symlink_to("loop")
    FOLDERS[what](place, environment)
    check(_share(list(FOLDERS).index(what), share), place / "work", environment)


# --- streams and processes ---------------------------------------------------------------------------


def _replace(descriptor: int, path: str, flags: int) -> Callable[[], None]:
    def setup() -> None:
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)

    return setup


def _pipe_without_reader() -> None:
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 1)


def _close(*descriptors: int) -> Callable[[], None]:
    def setup() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return setup


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))


def _small_files() -> None:
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python itself does
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


STREAMS = {
    "stdout is full": _replace(1, "/dev/full", os.O_WRONLY),
    "stderr is full": _replace(2, "/dev/full", os.O_WRONLY),
    "stdout is read-only": _replace(1, "/dev/null", os.O_RDONLY),
    "nobody reads stdout": _pipe_without_reader,
    "stdout is closed": _close(1),
    "stdin is closed": _close(0),
    "stderr is closed": _close(2),
    "all are closed": _close(0, 1, 2),
    "few descriptors": _few_descriptors,
    "no file may grow": _small_files,
    "a user without rights": without_rights,
    "the working directory is gone": lambda: _leave_behind(),
}


def _leave_behind() -> None:
    gone = Path("gone")
    gone.mkdir()
    os.chdir(gone)
    os.rmdir("../gone")


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("what", STREAMS)
def test_streams_and_limits(what: str, share: int, place: Path) -> None:
    check(_share(list(STREAMS).index(what), share), place / "work", own(place), STREAMS[what])


# --- files that a user names ---------------------------------------------------------------------------


@pytest.fixture
def bad_files(place: Path) -> Iterator[dict[str, str | bytes]]:
    """Return files of every kind that are no input."""
    folder = place / "bad"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    with (folder / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    (folder / "empty").touch()
    (folder / "binary").write_bytes(bytes(range(256)) * 64)
    (folder / "loop").symlink_to("loop")
    (folder / "secret").write_text(PROFILE)
    (folder / "secret").chmod(0)
    (folder / "nul").write_text('schema_version = 1\nname = "\\u0000"\ndevice = "jetson:\\u0000"\n')
    made = ("fifo", "huge", "empty", "binary", "loop", "secret", "nul", "missing")
    yield {
        **{name: str(folder / name) for name in made},
        "folder": str(folder),
        "zero": "/dev/zero",
        "full": "/dev/full",
        "null": "/dev/null",
        "mem": "/proc/self/mem",
        "below a file": "p.toml/x",
        "long": str(folder / ("x" * 300)),
        "longer": "/" + "x/" * 3000,
        "not UTF-8": os.fsencode(folder) + b"/\xff\xfe",
        "blank": "",
        "new line": "a\nb",
    }
    shutil.rmtree(folder)


def filled(command: Sequence[str], path: str | bytes) -> list[bytes]:
    """Put a path into a command."""
    raw = os.fsencode(path)
    return [a.encode().replace(FILE.encode(), raw).replace(OUTPUT.encode(), raw) for a in command]


def _slow_unless(quick: Iterable[str], commands: Sequence[Sequence[str]]) -> list[Any]:
    """Mark the commands that are none of the `quick` verbs: each of them meets twenty files."""
    slow = [pytest.mark.slow]
    return [pytest.param(c, id=" ".join(c), marks=[] if set(c) & set(quick) else slow) for c in commands]


@pytest.mark.parametrize("command", _slow_unless(("show", "validate", "diff"), READERS))
def test_inputs_that_are_none(command: Sequence[str], place: Path, bad_files: dict[str, str | bytes]) -> None:
    check((filled(command, path) for path in bad_files.values()), place / "work", own(place))
    check([filled(command, bad_files["secret"])], place / "work", own(place), without_rights)


@pytest.mark.parametrize("command", _slow_unless(("export",), WRITERS))
def test_outputs_that_are_none(command: Sequence[str], place: Path, bad_files: dict[str, str | bytes]) -> None:
    names = ("folder", "full", "fifo", "below a file", "long", "longer", "not UTF-8", "loop", "blank", "new line")
    paths = [*(bad_files[name] for name in names), "/proc/x/y"]
    check((filled(command, path) for path in paths), place / "work", own(place))
