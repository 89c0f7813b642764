"""The script is run by the real `sh`, over a folder that looks like /sys."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.profiles.examples import host_profile, tx2_profile
from tests.waiting import PATIENCE_S
from tuner import registry
from tuner.errors import OptionValueError
from tuner.profiles import Profile, ProfileOption
from tuner.profiles.boards import load_board

CPU = "sys/devices/system/cpu"


def export(profile: Profile) -> str:
    text: str = registry.create("exporters", "shell").export(profile)
    return text


def run(script: str, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "TUNER_SYSROOT": str(root)}
    return subprocess.run(
        ["/bin/sh", "-s", "--", *arguments],
        input=script,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.fixture
def tx2(tmp_path: Path) -> Path:
    for param in load_board("jetson-tx2").nvpmodel["params"]:
        for path in param["args"].values():
            file = tmp_path / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("1\n")
    return tmp_path


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for number in range(12):
        (tmp_path / CPU / f"cpu{number}").mkdir(parents=True)
        if number:
            (tmp_path / CPU / f"cpu{number}" / "online").write_text("1\n")
    for policy in ("policy0", "policy6"):
        (tmp_path / CPU / "cpufreq" / policy).mkdir(parents=True)
        (tmp_path / CPU / "cpufreq" / policy / "scaling_governor").write_text("powersave\n")
        (tmp_path / CPU / "cpufreq" / policy / "scaling_max_freq").write_text("3000000\n")
    return tmp_path


def test_a_board_files_options_are_written_and_read_back(tx2: Path) -> None:
    done = run(export(tx2_profile()), tx2)
    assert (done.returncode, done.stderr) == (0, "")
    policy = tx2 / CPU / "cpu0" / "cpufreq"
    assert (policy / "scaling_max_freq").read_text() == "1267200\n"
    assert (policy / "scaling_min_freq").read_text() == "1267200\n", "pinned, as it was measured"
    assert [(tx2 / CPU / f"cpu{n}" / "online").read_text().strip() for n in range(1, 6)] == list("00100")
    assert (tx2 / "sys/kernel/nvpmodel_emc_cap/emc_iso_cap").read_text() == "1331200000\n"


def test_a_missing_file_stops_it_before_the_first_write(tx2: Path) -> None:
    (tx2 / "sys/kernel/nvpmodel_emc_cap/emc_iso_cap").unlink()
    done = run(export(tx2_profile()), tx2)
    assert done.returncode == 1
    assert "There is no /sys/kernel/nvpmodel_emc_cap/emc_iso_cap" in done.stderr
    assert (tx2 / CPU / "cpu1" / "online").read_text() == "1\n"


def test_a_value_that_does_not_hold_is_an_error(tx2: Path) -> None:
    cap = tx2 / "sys/kernel/nvpmodel_emc_cap/emc_iso_cap"
    cap.unlink()
    cap.symlink_to("/dev/null")  # takes everything, keeps nothing
    done = run(export(tx2_profile()), tx2, "echo", "started")
    assert done.returncode == 1
    assert "emc_iso_cap reads , not 1331200000." in done.stderr
    assert done.stdout == "", "the program is not started on a board that is not set"


def test_without_root_it_refuses() -> None:
    done = subprocess.run(
        ["/bin/sh"], input=export(tx2_profile()), capture_output=True, text=True, timeout=PATIENCE_S,
        cwd="/", user=65534 if os.geteuid() == 0 else None,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Run this as root" in done.stderr


def test_host_options(host: Path) -> None:
    options = {
        "cpu_max_freq_khz": ProfileOption(2_000_000, "kHz"),
        "cpu_governor": ProfileOption("performance"),
        "cpus_online": ProfileOption(11),
    }
    done = run(export(host_profile(options)), host)
    assert (done.returncode, done.stderr) == (0, "")
    online = [(host / CPU / f"cpu{n}" / "online").read_text().strip() for n in range(1, 12)]
    assert online == ["1"] * 10 + ["0"], "counted as numbers: cpu10 comes after cpu9"
    for policy in ("policy0", "policy6"):
        assert (host / CPU / "cpufreq" / policy / "scaling_governor").read_text() == "performance\n"
        assert (host / CPU / "cpufreq" / policy / "scaling_max_freq").read_text() == "2000000\n"


def test_host_without_what_is_to_be_set(host: Path) -> None:
    assert run(export(host_profile({"cpus_online": ProfileOption(13)})), host).returncode == 1
    shutil.rmtree(host / CPU / "cpufreq")
    done = run(export(host_profile({"cpu_governor": ProfileOption("performance")})), host)
    assert done.returncode == 1
    assert "no cpufreq here" in done.stderr


NASTY = [
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "a\ntouch pwned",
    "é \\ %s $HOME",
]


@pytest.mark.parametrize("value", NASTY)
def test_runtime_options_reach_the_program_unchanged(tmp_path: Path, value: str) -> None:
    options = {
        "execution-mode": ProfileOption(value, scope="workload"),
        "arena": ProfileOption(True, scope="workload"),
    }
    script = export(host_profile(options, name=value, objective=value, study=value))
    program = 'printf "%s|%s" "$TUNER_OPTION_EXECUTION_MODE" "$TUNER_OPTION_ARENA"'
    done = subprocess.run(
        ["/bin/sh", "-s", "--", "sh", "-c", program],
        input=script, capture_output=True, text=True, timeout=PATIENCE_S, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{value}|1", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cpus_online", "cpu_governor"])
@pytest.mark.parametrize("value", NASTY)
def test_no_value_is_run(host: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.chdir(host)
    run(export(host_profile({name: ProfileOption(value)})), host)
    assert not (host / "pwned").exists()


def test_options_without_a_file_are_refused() -> None:
    with pytest.raises(OptionValueError, match="'warp'"):
        export(host_profile({"warp": ProfileOption(1)}))
