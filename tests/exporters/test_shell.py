"""The script is run by the real `sh`, over folders that look like a machine's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.jetson.boards import BOARDS
from tests.exporters.shell_script import board_profile, contents, copied, export, run, stopped_at
from tests.profiles.examples import host_profile, tx2_profile
from tests.waiting import PATIENCE_S
from tuner.boards.hardware import GENERIC
from tuner.errors import OptionValueError
from tuner.profiles import ProfileOption
from tuner_emulator.board import EmulatedBoard

CPU = "sys/devices/system/cpu"
STATE = "run/tuner-profile"
HOST_OPTIONS = {
    "cpu_max_freq_khz": ProfileOption(2_000_000, "kHz"),
    "cpu_governor": ProfileOption("performance"),
    "cpus_online": ProfileOption("0-10"),
}


@pytest.fixture
def tx2(tmp_path: Path) -> Path:
    return copied(EmulatedBoard("jetson-tx2", "28.2"), tmp_path / "tx2")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    root = tmp_path / "a host"
    for number in range(12):
        (root / CPU / f"cpu{number}").mkdir(parents=True)
        (root / CPU / f"cpu{number}" / "online").write_text("1\n")
    (root / CPU / "present").write_text("0-11\n")
    for policy, cpus in (("policy0", range(6)), ("policy6", range(6, 12))):
        folder = root / CPU / "cpufreq" / policy
        folder.mkdir(parents=True)
        (folder / "related_cpus").write_text(" ".join(map(str, cpus)) + "\n")
        (folder / "scaling_available_governors").write_text("performance powersave\n")
        (folder / "scaling_available_frequencies").write_text("3000000 2000000 1000000 \n")
        (folder / "scaling_governor").write_text("powersave\n")
        (folder / "scaling_max_freq").write_text("3000000\n")
    return root


def read(root: Path, path: str) -> str:
    return (root / path).read_text().strip()


def online(root: Path) -> str:
    count = len(list((root / CPU).glob("cpu[0-9]*")))
    return "".join(read(root, f"{CPU}/cpu{n}/online") for n in range(1, count))


def refused(script: str, root: Path, *arguments: str) -> str:
    """Run a script that has to refuse before it writes anything; return what it says."""
    before = contents(root)
    done = run(script, root, *arguments)
    assert done.returncode == 1
    assert contents(root) == before
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


# --- setting and putting back --------------------------------------------------------------------------


def test_a_jetsons_options_are_written_read_back_and_reverted(tx2: Path) -> None:
    before = contents(tx2)
    done = run(export(tx2_profile()), tx2)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    policy = f"{CPU}/cpufreq/policy0"
    assert read(tx2, f"{policy}/scaling_max_freq") == "1267200"
    assert read(tx2, f"{policy}/scaling_min_freq") == "1267200", "pinned, as it was measured"
    assert online(tx2) == "00100", "the Denver cores are no option of this profile and stay as they were"
    assert read(tx2, "sys/kernel/debug/bpmp/debug/clk/emc/rate") == "1331200000"
    assert read(tx2, "sys/class/devfreq/17000000.gp10b/max_freq") == "854250000"
    done = run(export(tx2_profile()), tx2, "--revert")
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(tx2) == before
    done = run(export(tx2_profile()), tx2, "--revert")
    assert (done.returncode, done.stdout) == (0, "Nothing to put back.\n")


def test_a_hosts_options(host: Path) -> None:
    before = contents(host)
    done = run(export(host_profile(HOST_OPTIONS)), host)
    assert (done.returncode, done.stderr) == (0, "")
    assert online(host) == "1" * 10 + "0", "counted as numbers: cpu10 comes after cpu9"
    for policy in ("policy0", "policy6"):
        assert read(host, f"{CPU}/cpufreq/{policy}/scaling_governor") == "performance"
        assert read(host, f"{CPU}/cpufreq/{policy}/scaling_max_freq") == "2000000"
    assert run(export(host_profile(HOST_OPTIONS)), host, "--revert").returncode == 0
    assert contents(host) == before


@pytest.mark.parametrize(
    ("cpus", "state"),
    [("0-1", "10000000000"), ("0", "00000000000"), ("0,2-3,11", "01100000001"), ("0-11", "11111111111")],
)
def test_a_list_of_cpus_is_one(host: Path, cpus: str, state: str) -> None:
    (host / CPU / "cpu0/online").chmod(0o444)
    done = run(export(host_profile({"cpus_online": ProfileOption(cpus)})), host)
    assert (done.returncode, done.stderr) == (0, "")
    assert online(host) == state
    assert read(host, f"{CPU}/cpu0/online") == "1"


def test_of_two_scripts_the_first_originals_are_kept(tx2: Path) -> None:
    before = contents(tx2)
    slow = export(board_profile("jetson-tx2", {"cpu_freq_khz": 345600, "cpu_governor": "fixed"}))
    fast = export(board_profile("jetson-tx2", {"cpu_freq_khz": 2035200, "gpu_freq_hz": 854250000}))
    for script in (slow, fast, slow):
        assert run(script, tx2).returncode == 0
    assert run(fast, tx2, "--revert").returncode == 0
    assert contents(tx2) == before


def test_a_dry_run_writes_nothing(tx2: Path) -> None:
    before = contents(tx2)
    done = run(export(tx2_profile()), tx2, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cpu4/online: 1 -> 0" in done.stdout.splitlines()
    assert contents(tx2) == before


def test_what_another_program_set_since_is_put_back_by_force_only(tx2: Path) -> None:
    before, script = contents(tx2), export(tx2_profile())
    assert run(script, tx2).returncode == 0
    (tx2 / CPU / "cpu4/online").write_text("1\n")
    assert "another program set it since" in refused(script, tx2, "--revert")
    assert run(script, tx2, "--revert", "--force").returncode == 0
    assert contents(tx2) == before


def test_it_explains_itself(host: Path) -> None:
    script = export(host_profile(HOST_OPTIONS))
    assert "Usage:" in run(script, host, "--help").stderr
    assert run(script, host, "--help").returncode == 0
    assert run(script, host, "--reverse").returncode == 2
    assert run(script, host, "--revert", "now").returncode == 2
    assert online(host) == "1" * 11


# --- refusing before the first write -------------------------------------------------------------------


def test_a_missing_file_stops_it(tx2: Path) -> None:
    (tx2 / "sys/kernel/debug/bpmp/debug/clk/emc/rate").unlink()
    assert "Option emc_freq_hz cannot be set" in refused(export(tx2_profile()), tx2)
    (tx2 / CPU / "cpufreq/policy0/scaling_min_freq").unlink()
    assert "cpu_freq_khz cannot be set" in refused(export(tx2_profile()), tx2)


def test_another_board_is_refused(tx2: Path) -> None:
    script = export(board_profile("jetson-orin-nano", {"cpu_freq_khz": 1_267_200}))
    assert "This board is jetson-tx2" in refused(script, tx2)
    shutil.rmtree(tx2 / "sys/firmware")
    shutil.rmtree(tx2 / "sys/module")
    assert "This is no Jetson" in refused(script, tx2)


@pytest.mark.parametrize(
    ("option", "value"),
    [("cpu_freq_khz", 1_267_201), ("gpu_freq_hz", 1), ("emc_freq_hz", 40_800_000), ("cpu_governor", "lazy")],
)
def test_what_is_no_level_of_this_kernel_is_refused(tx2: Path, option: str, value: str | int) -> None:
    said = refused(export(board_profile("jetson-tx2", {option: value})), tx2)
    assert f"Option {option} cannot be set" in said
    assert "Nothing was changed." in said


def test_a_host_without_what_is_to_be_set(host: Path) -> None:
    assert "no CPU 12" in refused(export(host_profile({"cpus_online": ProfileOption("0-12")})), host)
    for option in ("cpu_governor", "cpu_max_freq_khz"):
        value = ProfileOption("schedutil" if option == "cpu_governor" else 2_500_000)
        assert "nothing was changed" in refused(export(host_profile({option: value})), host)
    (host / CPU / "cpu5/online").unlink()
    assert "CPU 5 cannot be taken offline" in refused(export(host_profile({"cpus_online": ProfileOption("0-1")})), host)
    shutil.rmtree(host / CPU / "cpufreq")
    said = refused(export(host_profile({"cpu_governor": ProfileOption("performance")})), host)
    assert "no cpufreq policy" in said


def test_without_a_place_for_the_originals_it_refuses(tx2: Path) -> None:
    (tx2 / "run").write_text("no folder")
    assert "TUNER_STATE" in refused(export(tx2_profile()), tx2)


def test_without_root_it_refuses() -> None:
    done = run(export(tx2_profile()), None, user=65534 if os.geteuid() == 0 else None)
    assert (done.returncode, done.stderr) == (1, "Run this as root.\n")


# --- undoing -------------------------------------------------------------------------------------------


def scripts(tx2: Path, host: Path) -> Iterator[tuple[str, Path]]:
    yield export(tx2_profile()), tx2
    yield export(host_profile(HOST_OPTIONS)), host


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "KILL"])
def test_a_signal_at_each_write_leaves_the_machine_as_before(tx2: Path, host: Path, name: str) -> None:
    for script, root in scripts(tx2, host):
        before, write = contents(root), 1
        while True:
            done = run(stopped_at(script, write, name), root, "echo", "started")
            if done.returncode == 0:
                break
            assert done.stdout == "", "the program is not started on a machine that is not set"
            if name == "KILL":
                assert done.returncode == -signal.SIGKILL
                assert (root / f"{STATE}.begun").exists()
                assert run(script, root, "--revert").returncode == 0
            else:
                assert done.returncode == 128 + getattr(signal, f"SIG{name}")
                assert done.stderr == f"Stopped by SIG{name}. Everything is as it was before.\n"
            assert contents(root) == before, write
            write += 1
        assert write > 4


def test_what_a_killed_script_left_is_put_back_before_the_next_is_set(tx2: Path) -> None:
    before, script = contents(tx2), export(tx2_profile())
    assert run(stopped_at(script, 4, "KILL"), tx2).returncode == -signal.SIGKILL
    assert "--revert first" in refused(script, tx2, "--dry-run")
    assert run(script, tx2).returncode == 0
    assert run(script, tx2, "--revert").returncode == 0
    assert contents(tx2) == before


def test_a_value_that_does_not_hold_is_an_error(tx2: Path) -> None:
    before = contents(tx2)
    deaf = export(tx2_profile()).replace("put() { # path value\n", "put() {\n case $1 in */rate) return 0 ;; esac\n")
    done = run(deaf, tx2, "echo", "started")
    assert (done.returncode, done.stdout) == (1, "")
    assert "emc/lock was set to fixed@1331200000 but reads" in done.stderr
    assert contents(tx2) == before


def test_what_resists_is_named_and_the_originals_are_kept(host: Path) -> None:
    script = export(host_profile({"cpus_online": ProfileOption("0-1")}))
    stuck = stopped_at(script, 5, "TERM").replace('[ -e "$root$1" ] && {', '[ "$2" != 1 ] && {')
    done = run(stuck, host)
    assert done.returncode == 143
    assert "Not everything could be put back (wrong:" in done.stderr
    assert run(script, host, "--revert").returncode == 0
    assert online(host) == "1" * 11


@pytest.mark.parametrize("kind", ["begun", "complete"])
def test_originals_that_are_damaged_are_not_trusted(tx2: Path, kind: str) -> None:
    script = export(tx2_profile())
    if kind == "begun":
        run(stopped_at(script, 6, "KILL"), tx2)
    else:
        run(script, tx2)
    state = tx2 / (f"{STATE}.begun" if kind == "begun" else STATE)
    whole = state.read_bytes()
    for damaged in (b"", whole[:-1][:-20], whole.replace(b"cpu4", b"cpu3"), whole[:100], whole + b"x"):
        state.write_bytes(damaged)
        assert "damaged" in refused(script, tx2, "--revert")
    state.write_bytes(whole)
    assert run(script, tx2, "--revert").returncode == 0


def test_originals_of_an_earlier_boot_are_forgotten(tx2: Path) -> None:
    script = export(tx2_profile())
    assert run(script, tx2).returncode == 0
    (tx2 / "proc/sys/kernel/random/boot_id").write_text("another\n")
    before = {path: text for path, text in contents(tx2).items() if path != STATE}
    done = run(script, tx2, "--revert")
    assert (done.returncode, done.stdout) == (0, "Nothing to put back.\n")
    assert contents(tx2) == before


def test_originals_of_another_board_are_kept(tx2: Path, host: Path) -> None:
    assert run(export(host_profile(HOST_OPTIONS)), host).returncode == 0
    (tx2 / "run").mkdir()
    shutil.copy(host / STATE, tx2 / STATE)
    (host / "proc").mkdir()
    (tx2 / "proc/sys/kernel/random/boot_id").unlink()
    assert "of board host" in refused(export(tx2_profile()), tx2, "--revert")


# --- what a profile says is data -----------------------------------------------------------------------

NASTY = [
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "a\ntouch pwned",
    "é \\ %s $HOME",
    "*",
]


@pytest.mark.parametrize("value", NASTY)
def test_runtime_options_reach_the_program_unchanged(tmp_path: Path, value: str) -> None:
    options = {"execution-mode": ProfileOption(value, scope="workload"), "arena": ProfileOption(True, scope="workload")}
    script = export(host_profile(options, name=value, objective=value, study=value))
    program = 'printf "%s|%s" "$TUNER_OPTION_EXECUTION_MODE" "$TUNER_OPTION_ARENA"'
    done = subprocess.run(
        ["/bin/sh", "-s", "--", "sh", "-c", program],
        input=script,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{value}|1", "")
    assert not list(tmp_path.iterdir())


def test_two_options_of_one_variable_are_refused() -> None:
    options = {name: ProfileOption(1, scope="workload") for name in ("a-b", "a.b")}
    with pytest.raises(OptionValueError, match=r"'a.b' .*'a-b' is TUNER_OPTION_A_B already"):
        export(host_profile(options))
    with pytest.raises(OptionValueError, match="NUL"):
        export(host_profile({"a": ProfileOption("x\0y", scope="workload")}))


@pytest.mark.parametrize("name", ["cpus_online", "cpu_governor", "cpu_max_freq_khz"])
@pytest.mark.parametrize("value", [*NASTY, True, 1.5, "", -1])
def test_what_is_no_such_value_is_refused(name: str, value: str | float) -> None:
    with pytest.raises(OptionValueError, match=f"'{name}'"):
        export(host_profile({name: ProfileOption(value)}))


@pytest.mark.parametrize("cpus", [1, "1", "1-3", "0-", "-1", "0-99999999999", "0,,1", "3-0", "0 1", "²", "0-9000"])
def test_what_is_no_list_of_cpus_is_refused(cpus: str | int) -> None:
    with pytest.raises(OptionValueError, match="'cpus_online'"):
        export(host_profile({"cpus_online": ProfileOption(cpus)}))


@pytest.mark.parametrize("name", ["cpu_freq_khz", "cpu_governor", "cpu_cores_online", "emc_governor"])
@pytest.mark.parametrize("value", [*NASTY, True, 1.5, -1])
def test_what_is_no_value_of_a_jetson_is_refused(name: str, value: str | float) -> None:
    with pytest.raises(OptionValueError, match=f"'{name}'"):
        export(board_profile("jetson-orin-nano", {name: value}))


def test_options_without_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionValueError, match="'warp'"):
        export(host_profile({"warp": ProfileOption(1)}))
    with pytest.raises(OptionValueError, match="'denver_freq_khz' of board 'jetson-orin-nano'"):
        export(board_profile("jetson-orin-nano", {"denver_freq_khz": 345600}))
    with pytest.raises(OptionValueError, match="'cpu_freq_khz' cannot be '345600 Hz'"):
        export(tx2_profile(device="jetson", options={"cpu_freq_khz": ProfileOption(345600, "Hz")}))
    with pytest.raises(OptionValueError, match="'core_freq' is a column of a table"):
        export(tx2_profile(device="replay:/tmp/table.csv", options={"core_freq": ProfileOption(1)}))


# --- its form -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", sorted({name for name, _ in BOARDS} | {GENERIC}))
def test_every_boards_script_is_of_the_shells_grammar(board: str) -> None:
    profile = board_profile(board, {"cpu_freq_khz": 1, "gpu_governor": "fixed", "emc_freq_hz": 1})
    done = subprocess.run(["/bin/sh", "-n"], input=export(profile), capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="shellcheck is not installed: apt-get install shellcheck"
)
def test_shellcheck_has_no_complaint(tmp_path: Path) -> None:
    runtime = {"ort": ProfileOption("it's", scope="workload")}
    paths = [tmp_path / "host.sh", tmp_path / "tx2.sh"]
    for path, profile in zip(paths, (host_profile({**HOST_OPTIONS, **runtime}), tx2_profile()), strict=True):
        path.write_text(export(profile))
    done = subprocess.run(["shellcheck", *paths], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, "")
