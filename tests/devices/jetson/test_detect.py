"""Which board this is: by module, by name, by SoC; with and without what releases leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

import pytest

from tuner.boards.hardware import hardware_names, load_hardware, parse_hardware
from tuner.errors import PermissionDeniedError, TunerError
from tuner_emulator.board import EmulatedBoard
from tuner_emulator.spec import releases
from tuner_plugins.devices.jetson.detect import hardware_of, identify
from tuner_plugins.devices.jetson.device import open_board
from tuner_plugins.devices.jetson.files import BoardFiles

from .boards import MortalFiles, open_device

NANO_2GB = {"jetson-nano-2gb": "jetson-nano"}
EVERY = [(board, f"{major}.4") for board, majors in releases().items() for major in majors]


class FewFiles:
    """A machine that has some files and no others."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)

    def read_text(self, path: str) -> str:
        if path not in self.texts:
            raise FileNotFoundError(path)
        return self.texts[path]

    def write_text(self, path: str, text: str) -> None:
        if path not in self.texts:
            raise FileNotFoundError(path)
        self.texts[path] = text

    def exists(self, path: str) -> bool:
        return any(p == path or p.startswith(path + "/") for p in self.texts)

    def glob(self, pattern: str) -> Sequence[str]:
        found = {"/".join(p.split("/")[: pattern.count("/") + 1]) for p in self.texts}
        return sorted(p for p in found if fnmatch(p, pattern))

    def writable(self, path: str) -> bool:
        return path in self.texts


@pytest.mark.parametrize(("board", "l4t"), EVERY, ids=[f"{b}-{r}" for b, r in EVERY])
def test_every_board_and_release_has_its_hardware_file(board: str, l4t: str) -> None:
    identity = identify(EmulatedBoard(board, l4t))
    assert identity is not None
    assert identity.release == int(l4t.split(".")[0])
    assert hardware_of(identity).name == NANO_2GB.get(board, board)


def test_a_machine_without_a_tegra_device_tree_is_no_jetson() -> None:
    assert identify(FewFiles({"/proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0"})) is None
    assert identify(FewFiles({})) is None


def test_strings_of_the_device_tree_lose_their_nul() -> None:
    identity = identify(EmulatedBoard("jetson-orin-nano", "36.4"))
    assert identity is not None
    assert "\0" not in identity.model + "".join(identity.compatible)
    assert "Orin Nano" in identity.sentence
    assert "L4T 36.4" in identity.sentence


def test_a_tree_that_was_rebuilt_is_known_by_its_module_alone() -> None:
    tree = "/sys/firmware/devicetree/base"
    texts = {f"{tree}/model": "robot\0", f"{tree}/compatible": "acme,robot\0nvidia,p3767-0000\0nvidia,tegra234\0"}
    identity = identify(FewFiles(texts))
    assert identity is not None
    assert hardware_of(identity).name == "jetson-orin-nx"


def test_an_old_kernel_says_the_chip_only() -> None:
    identity = identify(FewFiles({"/sys/module/tegra_fuse/parameters/tegra_chip_id": "24\n"}))
    assert identity is not None
    assert identity.soc == "tegra186"
    assert identity.release is None
    assert "release unknown" in identity.sentence


def test_an_unknown_board_works_by_discovery_alone() -> None:
    cpu = "/sys/devices/system/cpu"
    policy = f"{cpu}/cpufreq/policy0"
    gpu = "/sys/class/devfreq/17000000.gpu"
    files = FewFiles(
        {
            "/proc/device-tree/compatible": "acme,robot\0nvidia,tegra999\0",
            "/proc/device-tree/model": "Robot\0",
            f"{cpu}/present": "0-1\n",
            f"{cpu}/online": "0-1\n",
            f"{cpu}/cpu1/online": "1\n",
            f"{policy}/related_cpus": "0 1\n",
            f"{policy}/scaling_available_frequencies": "100000 200000 \n",
            f"{policy}/scaling_available_governors": "schedutil performance \n",
            f"{policy}/scaling_min_freq": "100000\n",
            f"{policy}/scaling_max_freq": "200000\n",
            f"{policy}/scaling_governor": "schedutil\n",
            f"{gpu}/available_frequencies": "300000000 600000000\n",
            f"{gpu}/available_governors": "nvhost_podgov\n",
            f"{gpu}/min_freq": "300000000\n",
            f"{gpu}/max_freq": "600000000\n",
            f"{gpu}/governor": "nvhost_podgov\n",
        }
    )
    identity = identify(files)
    assert identity is not None
    board = open_board(files, identity)
    assert board.hardware.name == "jetson-generic"
    assert board.layout.clusters[0].levels == (100000, 200000)
    assert board.layout.groups[0].cpus == (0, 1)
    assert board.layout.gpu is not None
    assert {m.name for m in board.layout.missing} == {"emc_freq_hz"}


def test_nothing_outside_of_the_hardware_file_is_written() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    files = BoardFiles(board, load_hardware("jetson-orin-nano").writable(36))
    for path in (
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq",  # the same file by a name that is not declared
        "/sys/kernel/debug/bpmp/debug/clk/emc/state",
        "/sys/devices/system/cpu/cpu1/../cpu1/online",
        "/sys/class/devfreq/15340000.vic/max_freq",
        "/etc/nvpmodel.conf",
    ):
        with pytest.raises(PermissionDeniedError):
            files.write(path, "1")
    assert board.writes == 0


def test_a_renamed_gpu_node_is_found_anew() -> None:
    board = EmulatedBoard("jetson-orin-nano", "35.4")
    before = open_device(MortalFiles(board)).actuator.read_option("gpu_freq_hz")
    board.reboot("36.4")
    after = open_device(MortalFiles(board)).actuator.read_option("gpu_freq_hz")
    assert isinstance(before, int)
    assert isinstance(after, int)


def test_every_hardware_file_parses_and_declares_paths_below_sys_only() -> None:
    for name in hardware_names():
        hardware = load_hardware(name)
        assert hardware.name == name
        assert all(p.startswith("/sys/") for patterns in hardware.writes.values() for p in patterns)
        assert hardware.limits.cool_down_to_c < hardware.limits.measure_c < hardware.limits.abort_c


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("schema_version = 2", "schema version"),
        ("schema_version = 1\nsurprise = 1", "surprise"),
        ('schema_version = 1\nname = "x"\ndescription = "y"\n[writes]\nall = ["/etc/passwd"]', "/etc/passwd"),
        ('schema_version = 1\nname = "x"\ndescription = "y"\n[writes]\nall = ["/sys/../etc/passwd"]', "no path"),
        ('schema_version = 1\nname = "x"\n[writes]\nall = []', "description"),
        ("schema_version = ", "TOML"),
    ],
)
def test_a_broken_hardware_file_is_refused(text: str, says: str) -> None:
    with pytest.raises(TunerError, match=says):
        parse_hardware(text, "x")
