"""Every kind of wrong input: what is said, what to do, the exit code, and no traceback."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Tuner

EMULATED = ("--device", "emulated:jetson-tx2", "--budget", "3")


def refused(run: Run, code: int, *said: str) -> None:
    """The error is two lines of text, names what is wrong and has its code."""
    assert run.code == code, run.err
    assert "Traceback" not in run.err
    for text in said:
        assert text in run.err, run.err
    assert 1 <= len(run.err.strip().splitlines()) <= 3, run.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--objective", "enrgy", *EMULATED], 10, ["no objective 'enrgy'", "energy"]),
        (["--device", "emulatd:jetson-tx2"], 11, ["no device 'emulatd:jetson-tx2'", "emulated:jetson-tx2"]),
        (["--device", "hst"], 11, ["no device 'hst'", "host"]),
        (["--strategy", "tpee", *EMULATED], 12, ["no strategy 'tpee'", "tpe"]),
        (["--device", "emulated:jetson-tx3"], 13, ["no board 'jetson-tx3'", "jetson-tx2"]),
        (["--device", "emulated"], 13, ["jetson-tx2"]),
        (["--workload", "onx:a.onnx", "--device", "host", "--objective", "latency"], 14, ["onx", "onnx"]),
        (["--budget", "soon", *EMULATED[:2]], 2, ["'soon' is not a budget"]),
        (["--constraint", "latency=3", *EMULATED], 2, ["not a constraint"]),
        (["--constraint", "latency<=3W", *EMULATED], 2, ["not a number in s"]),
        (["--constraint", "speed<=3", *EMULATED], 2, ["names no metric"]),
        (["--strategy", "gs", *EMULATED], 2, ["--source"]),
        (["--source", "nowhere.csv", *EMULATED], 42, ["nowhere.csv"]),
        (["--source", "nostudy", *EMULATED], 42, ["neither a file nor a study"]),
        (["--device", "replay:nowhere.csv"], 42, ["nowhere.csv"]),
        (["--device", "host", "--objective", "latency", "--workload", "onnx:nowhere.onnx"], 42, ["nowhere.onnx"]),
        (["--device", "host", "--objective", "latency", "--workload", "command:"], 2, ["command"]),
    ],
)
def test_wrong_names_and_values(tuner: Tuner, arguments: list[str], code: int, said: list[str]) -> None:
    refused(tuner("start", "--plain", *arguments), code, *said)


def test_a_flag_and_a_command_that_do_not_exist(tuner: Tuner) -> None:
    assert tuner("start", "--objektive", "energy").code == 2
    run = tuner("stat")
    assert run.code == 2
    assert "Did you mean 'start'" in run.err or "Did you mean 'status'" in run.err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("a = = 1\n", 20, ["line 1"]),
        ("objectiv = 'energy'\n", 19, ["objectiv", "objective"]),
        ("budget = [1]\n", 20, ["line 1"]),
    ],
)
def test_a_wrong_settings_file(tuner: Tuner, tmp_path: Path, text: str, code: int, said: list[str]) -> None:
    (tmp_path / "tuner.toml").write_text(text)
    refused(tuner("start", "--plain"), code, "tuner.toml", *said)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [("schema_version = 99\n", 21, ["line 1"]), ("schema_version = 1\nname = \n", 20, ["line 2"]), ("", 20, [])],
)
def test_a_wrong_profile(tuner: Tuner, tmp_path: Path, text: str, code: int, said: list[str]) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    refused(tuner("profile", "validate", str(path)), code, *said)


@pytest.fixture
def profile(tuner: Tuner, tmp_path: Path) -> Path:
    path = tmp_path / "best.toml"
    assert tuner("start", "--json", *EMULATED, "--output", str(path)).code == 0
    return path


def test_a_profile_for_another_board(tuner: Tuner, profile: Path) -> None:
    run = tuner("profile", "apply", str(profile), "--device", "emulated:jetson-tx1")
    refused(run, 22, "jetson-tx2", "jetson-tx1")


def test_a_value_that_the_board_does_not_have(tuner: Tuner, profile: Path) -> None:
    import tomlkit

    document = tomlkit.parse(profile.read_text())
    document["options"]["gpu_freq_hz"]["value"] = 123  # type: ignore[index]
    profile.write_text(tomlkit.dumps(document))
    refused(tuner("profile", "validate", str(profile)), 23, "gpu_freq_hz", "123")
    refused(tuner("profile", "apply", str(profile)), 23, "gpu_freq_hz", "123")


def test_an_unknown_export_format(tuner: Tuner, profile: Path) -> None:
    refused(tuner("profile", "export", str(profile), "--format", "jsn"), 15, "json")


def test_a_corrupt_database(tuner: Tuner, tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"this is no database" * 1000)
    refused(tuner("start", "--plain", *EMULATED, "--storage", f"sqlite:///{path}"), 24, "broken.db")


def test_a_database_with_a_torn_page(tuner: Tuner, tmp_path: Path) -> None:
    path = tmp_path / "torn.db"
    url = f"sqlite:///{path}"
    assert tuner("start", "--json", *EMULATED, "--storage", url).code == 0
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096:40960] = os.urandom(36864)
    path.write_bytes(bytes(data))
    refused(tuner("start", "--plain", *EMULATED, "--storage", url), 24, "torn.db")


def test_a_database_that_cannot_be_opened(tuner: Tuner, tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    refused(tuner("start", "--plain", *EMULATED, "--storage", f"sqlite:///{tmp_path / 'folder.db'}"), 30, "folder.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which needs root")
def test_a_full_disk_loses_nothing_that_was_measured(tuner: Tuner, tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(mount)], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        url = f"sqlite:///{mount / 'studies.db'}"
        run = tuner(
            "start",
            "--json",
            "--device",
            "emulated:jetson-tx2",
            "--budget",
            "400",
            "--seed",
            "1",
            "--storage",
            url,
            "--study",
            "full",
        )
        refused(run, 31, "full")
        stored = [t["trial"] for t in run.trials()]
        assert stored, "the disk was full before the first trial: the test says nothing"
        subprocess.run(["mount", "-o", "remount,size=20m", str(mount)], check=True)
        shown = tuner("study", "show", "full", "--storage", url, "--json")
        kept = [e["trial"] for e in shown.events]
        assert kept[: len(stored)] == stored
        resumed = tuner(
            "start",
            "--json",
            "--device",
            "emulated:jetson-tx2",
            "--seed",
            "1",
            "--budget",
            str(len(kept) + 3),
            "--storage",
            url,
            "--study",
            "full",
        )
        assert resumed.code == 0, resumed.err
        assert len(resumed.trials()) == 3
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "metric"),
        ("inference_time_s\n1\n", "no separator"),
        ("a,inference_time_s\n1,nan\n2,3\n", "line 2"),
        ("a,inference_time_s\n1,2\n2,-3\n", "line 3"),
        ("a,inference_time_s\n", "row"),
        ("a,a,inference_time_s\n1,2,3\n", "'a'"),
    ],
)
def test_tables_that_cannot_be_measurements(tuner: Tuner, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    refused(tuner("start", "--plain", "--objective", "latency", "--device", f"replay:{path}"), 25, said)


def test_an_objective_that_cannot_be_measured_says_what_remains(tuner: Tuner, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,inference_time_s\n1,2\n2,3\n")
    run = tuner("start", "--plain", "--objective", "energy", "--device", f"replay:{path}")
    refused(run, 35, "energy", "latency")


def command_workload(tuner: Tuner, line: str, *more: str) -> Run:
    return tuner(
        "start",
        "--plain",
        "--objective",
        "latency",
        "--device",
        "host",
        "--budget",
        "2",
        "--workload",
        f"command:{line}",
        *more,
    )


@pytest.mark.hotplug
@pytest.mark.xdist_group("hotplug")
class TestWorkloads:
    def test_one_that_crashes(self, tuner: Tuner) -> None:
        refused(command_workload(tuner, "echo broken thing >&2; exit 3"), 27, "3", "broken thing")

    def test_one_that_is_killed(self, tuner: Tuner) -> None:
        refused(command_workload(tuner, "kill -SEGV $$"), 27, "SIGSEGV")

    def test_one_that_hangs(self, tuner: Tuner) -> None:
        refused(command_workload(tuner, "sleep 1000", "--timeout", "1s"), 28, "1 s")

    def test_one_that_prints_nothing(self, tuner: Tuner) -> None:
        refused(command_workload(tuner, "true", "--command-output", "metrics"), 29)

    def test_a_model_that_onnx_runtime_rejects(self, tuner: Tuner, tmp_path: Path) -> None:
        (tmp_path / "bad.onnx").write_bytes(b"no model at all")
        run = tuner("start", "--plain", "--objective", "latency", "--device", "host", "--workload", "onnx:bad.onnx")
        refused(run, 26, "bad.onnx")


def test_resuming_with_something_else_is_refused_with_the_difference(tuner: Tuner, small_table: Path) -> None:
    first = ("start", "--json", "--study", "s", "--budget", "3", "--device", f"replay:{small_table}")
    assert tuner(*first, "--objective", "energy").code == 0
    refused(tuner(*first, "--objective", "latency"), 34, "objective is energy, not latency")
    refused(tuner("start", "--plain", "--study", "s", *EMULATED), 34, "device is replay:")
    text = small_table.read_text().replace("4,600000000", "4,700000000")
    small_table.write_text(text)
    refused(tuner(*first, "--objective", "energy"), 34, "gpu_freq_hz")


def test_debug_shows_the_traceback(tuner: Tuner) -> None:
    run = tuner("--debug", "start", "--plain", "--objective", "enrgy", *EMULATED)
    assert "Traceback" in run.err
    assert "UnknownObjectiveError" in run.err


def test_an_error_is_also_the_last_event(tuner: Tuner) -> None:
    run = tuner("start", "--json", "--objective", "enrgy", *EMULATED)
    assert run.events[-1]["event"] == "error"
    assert run.events[-1]["exit_code"] == run.code == 10


def test_exit_codes_are_distinct_and_documented() -> None:
    from tests.conftest import ROOT
    from tuner import errors

    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.TunerError)]
    leaves = [c for c in classes if c not in (errors.TunerError, errors.UnknownNameError)]
    codes = [c.exit_code for c in leaves]
    assert len(set(codes)) == len(codes)
    text = (ROOT / "docs" / "exit-codes.md").read_text()
    for c in leaves:
        assert f"| {c.exit_code} | {c.__name__} |" in text
