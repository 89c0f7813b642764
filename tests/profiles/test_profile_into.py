"""`tuner profile export --into` and `tuner profile import`: files, rights, backups, refusals."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.devices.jetson.nvpmodel.jtop_expectations import complaints
from tests.profiles.examples import host_profile, tx2_profile
from tuner.cli.main import run
from tuner.errors import DeviceBusyError
from tuner.profiles import ProfileOption, read_profile, write_profile
from tuner.profiles.inplace import BACKUP_SUFFIX, read_file, replace_file
from tuner_emulator.nvpmodel import stock_text
from tuner_emulator.release import release_of
from tuner_emulator.spec import spec_of

STOCK = stock_text(spec_of("jetson-tx2", release_of("28.2"))).encode() + b"# caf\xe9: not UTF-8\n"


@pytest.fixture
def best(tmp_path: Path) -> Path:
    write_profile(tmp_path / "best.toml", tx2_profile())
    return tmp_path / "best.toml"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The link /etc/nvpmodel.conf and the file that it leads to."""
    (tmp_path / "nvpmodel").mkdir()
    real = tmp_path / "nvpmodel" / "nvpmodel_t186.conf"
    real.write_bytes(STOCK)
    real.chmod(0o640)
    (tmp_path / "nvpmodel.conf").symlink_to("nvpmodel/nvpmodel_t186.conf")
    return tmp_path / "nvpmodel.conf"


def tuner(*arguments: object) -> int:
    return run(["profile", *map(str, arguments)], debug=False)


def into(best: Path, conf: Path, *more: object) -> int:
    return tuner("export", best, "--format", "nvpmodel", "--into", conf, *more)


def backup(conf: Path) -> Path:
    real = conf.resolve()
    return real.with_name(real.name + BACKUP_SUFFIX)


def test_a_mode_is_added_and_the_original_kept(best: Path, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert into(best, conf) == 0
    said = capsys.readouterr().out
    assert f"Added mode 5 TUNER_ENERGY in {conf.resolve()} (the original is kept as {backup(conf)})." in said
    assert "nvpmodel -m 5" in said
    assert "Which mode is active is not known here" in said
    assert conf.is_symlink()
    assert stat.S_IMODE(conf.stat().st_mode) == 0o640
    assert backup(conf).read_bytes() == STOCK
    assert stat.S_IMODE(backup(conf).stat().st_mode) == 0o640
    before, _, after = STOCK.partition(b"# The mode that the board boots into")
    edited = conf.read_bytes()
    assert edited.startswith(before.rstrip(b"\n"))
    assert edited.endswith(after)
    assert complaints(edited.decode("latin-1")) == []
    assert sorted(os.listdir(conf.resolve().parent)) == sorted([conf.resolve().name, backup(conf).name])


def test_again_and_anew(best: Path, conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert into(best, conf) == 0
    first = conf.read_bytes()
    assert into(best, conf) == 0
    assert "says it already" in capsys.readouterr().out
    options = {**tx2_profile().options, "cpu_cores_online": ProfileOption(4)}
    write_profile(tmp_path / "b.toml", tx2_profile(options=options))
    assert into(tmp_path / "b.toml", conf) == 0
    assert "Replaced mode 5 TUNER_ENERGY" in capsys.readouterr().out
    assert conf.read_bytes() == first.replace(
        b"CORE_4 0\nCPU_ONLINE CORE_5 0\nCPU_A57 MIN_FREQ 345600",
        b"CORE_4 1\nCPU_ONLINE CORE_5 1\nCPU_A57 MIN_FREQ 345600",
    )
    assert backup(conf).read_bytes() == STOCK, "the oldest original stays"


def test_check_writes_nothing(best: Path, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert into(best, conf, "--check") == 0
    said = capsys.readouterr().out
    assert "+< POWER_MODEL ID=5 NAME=TUNER_ENERGY >" in said
    assert "ok: Added mode 5 TUNER_ENERGY. Nothing was written (--check)." in said
    assert conf.read_bytes() == STOCK
    assert not backup(conf).exists()


def test_name_and_default(best: Path, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert into(best, conf, "--name", "NIGHT", "--default") == 0
    assert "boots into" in capsys.readouterr().out
    assert conf.read_bytes().endswith(b"< PM_CONFIG DEFAULT=5 >\n# caf\xe9: not UTF-8\n")
    assert into(best, conf, "--name", "night") == 2
    assert into(best, conf, "--name", "MAXN") == 23
    assert "was not written by tuner" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raw", "code", "text"),
    [
        (STOCK.replace(b"PM_CONFIG", b"PM"), 20, "PM_CONFIG"),
        (STOCK.replace(b".gp10b", b".vic"), 23, "no PARAM for 'gpu_freq_hz'"),
        (b"", 20, "no POWER_MODEL"),
    ],
)
def test_unfit_files(
    best: Path, conf: Path, capsys: pytest.CaptureFixture[str], raw: bytes, code: int, text: str
) -> None:
    conf.resolve().write_bytes(raw)
    assert into(best, conf) == code
    assert text in capsys.readouterr().err
    assert conf.read_bytes() == raw
    assert not backup(conf).exists()


def test_unfit_arguments(best: Path, conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert into(best, tmp_path / "no.conf") == 42
    assert into(best, tmp_path) == 42
    assert into(best, conf, "--device", "emulated:jetson-tx1") == 22
    assert tuner("export", best, "--format", "json", "--into", conf) == 2
    assert tuner("export", best, "--format", "nvpmodel", "--check") == 2
    assert into(best, conf, "-o", tmp_path / "x") == 2
    write_profile(tmp_path / "bad.toml", tx2_profile(options={"gpu_freq_hz": ProfileOption(5)}))
    assert into(tmp_path / "bad.toml", conf) == 23
    write_profile(tmp_path / "none.toml", tx2_profile(options={"t": ProfileOption(1, scope="workload")}))
    assert into(tmp_path / "none.toml", conf) == 23
    assert "sets nothing on the board" in capsys.readouterr().err
    assert conf.read_bytes() == STOCK


def test_a_host_has_no_modes(tmp_path: Path, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tuner("import", "--nvpmodel", conf, "--mode", "0", "-o", tmp_path / "p.toml", "--device", "host") == 23
    assert "has no power modes" in capsys.readouterr().err
    write_profile(tmp_path / "h.toml", host_profile({"cpus_online": ProfileOption(1)}))
    assert into(tmp_path / "h.toml", conf) == 22, "made for another machine"


def bring(conf: Path, mode: str, out: Path) -> int:
    return tuner("import", "--nvpmodel", conf, "--mode", mode, "-o", out, "--device", "emulated:jetson-tx2")


def test_import_by_name_and_id(conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bring(conf, "MAXQ", tmp_path / "p.toml") == 0
    assert "mode MAXQ as a profile of 4 options" in capsys.readouterr().out
    profile = read_profile(tmp_path / "p.toml")
    assert profile.configuration() == {
        "cpu_cores_online": 4,
        "cpu_freq_khz": 1_113_600,
        "gpu_freq_hz": 854_250_000,
        "emc_freq_hz": 1_331_200_000,
    }
    assert (profile.name, profile.board, profile.emulated) == ("MAXQ", "jetson-tx2", True)
    assert profile.options["gpu_freq_hz"].unit == "Hz"
    assert bring(conf, "1", tmp_path / "q.toml") == 0
    assert read_profile(tmp_path / "q.toml").configuration() == profile.configuration()
    assert tuner("validate", tmp_path / "p.toml") == 0
    assert tuner("show", tmp_path / "p.toml") == 0
    assert tuner("apply", tmp_path / "p.toml", "--dry-run") == 0


def test_an_exported_mode_imports_as_the_profile(best: Path, conf: Path, tmp_path: Path) -> None:
    assert into(best, conf) == 0
    assert bring(conf, "TUNER_ENERGY", tmp_path / "p.toml") == 0
    assert read_profile(tmp_path / "p.toml").configuration() == read_profile(best).configuration()


def test_an_imported_mode_keeps_its_name(conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "p.toml"
    assert bring(conf, "MAXQ", profile) == 0
    capsys.readouterr()
    assert tuner("export", profile, "--format", "nvpmodel") == 0
    assert "NAME=MAXQ >" in capsys.readouterr().out
    assert into(profile, conf) == 0, "the vendor's own mode of that name says it already"
    assert "says it already" in capsys.readouterr().out
    assert conf.read_bytes() == STOCK
    assert into(profile, conf, "--default") == 0
    assert conf.read_bytes() == STOCK.replace(b"DEFAULT=3", b"DEFAULT=1")
    faster = STOCK.replace(b"CPU_A57 MAX_FREQ 1200000", b"CPU_A57 MAX_FREQ 1300000")
    assert faster != STOCK
    conf.resolve().write_bytes(faster)
    assert into(profile, conf) == 0
    assert "Added mode 5 TUNER_MAXQ" in capsys.readouterr().out
    conf.resolve().write_bytes(STOCK.replace(b"NAME=MAXQ", b"NAME=OTHER"))
    assert into(profile, conf) == 0
    assert "Added mode 5 MAXQ" in capsys.readouterr().out


def test_a_minimum_that_no_option_says_is_named(conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bring(conf, "MAXQ", tmp_path / "p.toml") == 0
    assert "MIN_FREQ" not in capsys.readouterr().out
    maxq = STOCK.index(b"NAME=MAXQ")
    at = STOCK.index(b"CPU_A57 MIN_FREQ 0", maxq)
    conf.resolve().write_bytes(STOCK[:at] + b"CPU_A57 MIN_FREQ 806400" + STOCK[at + len(b"CPU_A57 MIN_FREQ 0") :])
    assert bring(conf, "MAXQ", tmp_path / "q.toml") == 0
    said = capsys.readouterr().out
    assert "MIN_FREQ keeps cpu_freq_khz at 806400 or more" in said
    assert "the minimum is 345600" in said


def test_import_of_what_is_not_there(conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bring(conf, "MAXP", tmp_path / "p.toml") == 46
    assert (
        "nearest first: 2 MAXP_CORE_ALL, 3 MAXP_CORE_ARM, 4 MAXP_CORE_DENVER, 0 MAXN, 1 MAXQ."
        in capsys.readouterr().err
    )
    assert bring(conf, "MAXN", tmp_path / "p.toml") == 23
    assert "it brings cpu1 online, which no option does here now" in capsys.readouterr().err
    assert not (tmp_path / "p.toml").exists()


def test_a_file_that_changes_meanwhile_is_left_alone(conf: Path) -> None:
    old = read_file(conf)
    conf.resolve().write_bytes(b"of somebody else")
    with pytest.raises(DeviceBusyError):
        replace_file(old, "x")
    assert conf.read_bytes() == b"of somebody else"
    assert not list(conf.resolve().parent.glob(".*.tmp"))


def test_the_rest_of_a_killed_run_is_no_hindrance(best: Path, conf: Path) -> None:
    (conf.resolve().parent / f".{conf.resolve().name}.{os.getpid()}.tmp").write_text("half")
    assert into(best, conf) == 0
    assert backup(conf).read_bytes() == STOCK
