"""`tuner profile` through the real entry point: exit codes and texts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.profiles.examples import host_profile, tx2_profile
from tuner.cli.main import run
from tuner.config.values import Settings
from tuner.opening import default_context, open_device
from tuner.profiles import ProfileMetric, ProfileOption, read_profile, write_profile


@pytest.fixture
def best(tmp_path: Path) -> Path:
    write_profile(tmp_path / "best.toml", tx2_profile())
    return tmp_path / "best.toml"


def tuner(*arguments: object) -> int:
    return run(["profile", *map(str, arguments)], debug=False)


def configuration(spec: str = "emulated:jetson-tx2") -> dict[str, object]:
    device = open_device(spec, default_context(Settings())).device
    try:
        return {name: device.actuator.read_option(name) for name in tx2_profile().options}
    finally:
        device.close()


def test_show(best: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tuner("show", best) == 0
    shown = capsys.readouterr().out
    assert "emulated: no real hardware" in shown
    assert "854250000 Hz" in shown
    assert "1.5 J (1.4 J to 1.6 J)" in shown
    assert "result     not confirmed: saves 40.0% of energy by the search alone" in shown
    assert tuner("show", best, "--json") == 0
    assert json.loads(capsys.readouterr().out)["board"] == "jetson-tx2"


def test_show_gives_the_price_of_every_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {
        "energy_j": ProfileMetric(
            value=1.5,
            unit="J",
            ci_low=1.4,
            ci_high=1.6,
            baseline=2.5,
            baseline_ci=(2.4, 2.6),
            change_percent=-40.0,
            change_ci_percent=(-42.0, -38.0),
        ),
        "temperature_c": ProfileMetric(value=45.0, unit="°C", baseline=50.0),
    }
    result = "saves 40.0% ± 2.0% energy, latency +34%"
    write_profile(tmp_path / "p.toml", tx2_profile(metrics=metrics, confirmed=True, result=result))
    assert tuner("show", tmp_path / "p.toml") == 0
    shown = capsys.readouterr().out
    assert "2.5 J (2.4 J to 2.6 J) -> 1.5 J (1.4 J to 1.6 J), -40.0% (-42.0 to -38.0%)" in shown
    assert "50 °C -> 45 °C" in shown
    assert f"result     {result}" in shown


def test_validate(best: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tuner("validate", best) == 0
    assert f"ok: {best} fits board 'jetson-tx2'." in capsys.readouterr().out


def test_validate_names_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"gpu_freq_hz": ProfileOption(5), "warp": ProfileOption(1)}
    write_profile(tmp_path / "p.toml", tx2_profile(options=options))
    assert tuner("validate", tmp_path / "p.toml") == 23
    out, err = capsys.readouterr()
    assert out.count("problem: ") == 2
    assert "'gpu_freq_hz' has no value 5" in err
    assert "Traceback" not in err


def test_validate_without_the_device_checks_the_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tx2_profile(board="a-table", device="replay:gone.csv")
    write_profile(tmp_path / "p.toml", profile)
    assert tuner("validate", tmp_path / "p.toml") == 0
    assert "Its options were not checked" in capsys.readouterr().out


def test_validate_a_device_that_nobody_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_profile(tmp_path / "p.toml", tx2_profile(board="jetson-tx3", device="emulatd:jetson-tx2"))
    assert tuner("validate", tmp_path / "p.toml") == 11
    assert "Did you mean emulated:jetson-tx2" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["show", "validate", "apply", "export"])
def test_files_that_are_no_profiles(tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--format", "json"] if verb == "export" else []
    assert tuner(verb, tmp_path / "no.toml", *more) == 42
    (tmp_path / "bad.toml").write_text("schema_version = \n")
    assert tuner(verb, tmp_path / "bad.toml", *more) == 20
    assert "line 1, column 18" in capsys.readouterr().err
    (tmp_path / "new.toml").write_text("\nschema_version = 99\n")
    assert tuner(verb, tmp_path / "new.toml", *more) == 21
    out, err = capsys.readouterr()
    assert "line 2, column 1" in err
    assert "Update tuner." in err
    assert out == ""


def test_diff(best: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tuner("diff", best, best) == 0
    assert "say the same" in capsys.readouterr().out
    options = {**tx2_profile().options, "cpu_freq_khz": ProfileOption(2_035_200, "kHz")}
    write_profile(tmp_path / "b.toml", tx2_profile(options=options))
    assert tuner("diff", best, tmp_path / "b.toml") == 0
    assert "cpu_freq_khz: 1267200 -> 2035200 kHz (+60.6 %)" in capsys.readouterr().out


def test_apply_verifies_and_revert_undoes(best: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = configuration()
    assert before != tx2_profile().configuration()
    assert tuner("apply", best, "--dry-run") == 0
    assert "Nothing was written" in capsys.readouterr().out
    assert configuration() == before

    assert tuner("apply", best) == 0
    shown = capsys.readouterr().out
    assert "gpu_freq_hz: 1122000000 -> 854250000 Hz" in shown
    assert "no real hardware was touched" in shown
    assert f"tuner profile apply {best} --revert" in shown
    assert configuration() == tx2_profile().configuration()

    assert tuner("apply", best, "--revert") == 0
    assert "gpu_freq_hz: back to 1122000000" in capsys.readouterr().out
    assert configuration() == before
    assert tuner("apply", best, "--revert") == 2, "nothing is applied any more"


def test_apply_twice_reverts_to_the_beginning(best: Path, tmp_path: Path) -> None:
    before = configuration()
    options = {**tx2_profile().options, "cpu_cores_online": ProfileOption(1)}
    write_profile(tmp_path / "b.toml", tx2_profile(options=options))
    assert tuner("apply", best) == 0
    assert tuner("apply", tmp_path / "b.toml") == 0
    assert configuration()["cpu_cores_online"] == 1
    assert tuner("apply", best, "--revert") == 0
    assert configuration() == before


def test_apply_to_another_board(best: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tuner("apply", best, "--device", "emulated:jetson-tx1") == 22
    err = capsys.readouterr().err
    assert "'jetson-tx2'" in err
    assert "'jetson-tx1'" in err


def test_apply_a_value_that_the_board_does_not_have(tmp_path: Path) -> None:
    before = configuration()
    options = {**tx2_profile().options, "gpu_freq_hz": ProfileOption(854_250_001, "Hz")}
    write_profile(tmp_path / "p.toml", tx2_profile(options=options))
    assert tuner("apply", tmp_path / "p.toml") == 23
    assert configuration() == before


def test_apply_says_what_are_runtime_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {**tx2_profile().options, "threads": ProfileOption(2, scope="workload")}
    write_profile(tmp_path / "p.toml", tx2_profile(options=options))
    assert tuner("apply", tmp_path / "p.toml") == 0
    assert "set them in your program: threads=2" in capsys.readouterr().out
    write_profile(tmp_path / "q.toml", tx2_profile(options={"threads": options["threads"]}))
    assert tuner("apply", tmp_path / "q.toml") == 2
    assert "sets nothing on the board" in capsys.readouterr().err


def test_a_table_cannot_be_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a,inference_time_s\n1,0.5\n2,0.4\n")
    spec = f"replay:{table}"
    device = open_device(spec, default_context(Settings())).device
    profile = tx2_profile(board=device.board, device=spec, options={"a": ProfileOption(2)})
    device.close()
    write_profile(tmp_path / "p.toml", profile)
    assert tuner("validate", tmp_path / "p.toml") == 0
    assert tuner("apply", tmp_path / "p.toml") == 2
    assert "there is no board to set" in capsys.readouterr().err


def test_a_host_profile_is_for_one_machine(tmp_path: Path) -> None:
    write_profile(tmp_path / "p.toml", host_profile({"cpus_online": ProfileOption(1)}))
    assert tuner("validate", tmp_path / "p.toml") == 22
    assert tuner("apply", tmp_path / "p.toml") == 22


def test_flags_that_exclude_each_other(best: Path) -> None:
    assert tuner("apply", best, "--revert", "--dry-run") == 2


def test_export(best: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tuner("export", best, "--format", "nvpmodel") == 0
    assert "< POWER_MODEL ID=" in capsys.readouterr().out
    assert tuner("export", best, "--format", "shell", "-o", tmp_path / "a" / "set.sh") == 0
    assert (tmp_path / "a" / "set.sh").read_text().startswith("#!/bin/sh\n")
    assert tuner("export", best, "--format", "shel") == 15
    assert "Did you mean shell" in capsys.readouterr().err
    assert tuner("export", best, "--format", "json", "-o", tmp_path) == 42
    assert os.listdir(tmp_path / "a") == ["set.sh"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_export_to_a_full_disk(best: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tuner("export", best, "--format", "json", "-o", "/dev/full") == 31
    assert "Free some space" in capsys.readouterr().err
    assert read_profile(best).board == "jetson-tx2"
