"""Zones, alerts and over-current counters of every emulated board."""

from __future__ import annotations

import pytest

from tuner_emulator.board import EmulatedBoard
from tuner_plugins.devices.jetson.thermal import ThermalReader

BOARDS = [
    ("jetson-tx1", "28.2"),
    ("jetson-nano", "32.7"),
    ("jetson-tx2", "32.7"),
    ("jetson-agx-xavier", "35.4"),
    ("jetson-orin-nano", "36.4"),
    ("jetson-agx-orin", "35.4"),
    ("jetson-agx-thor", "38.2"),
]


@pytest.mark.parametrize(("name", "release"), BOARDS)
def test_the_hottest_zone_is_a_sensor_s(name: str, release: str) -> None:
    board = EmulatedBoard(name, release, load="constant 1", eagain_rate=0)
    board.clock.sleep(60)
    reader = ThermalReader(board)
    hottest = reader.hottest()
    assert hottest is not None
    kind, celsius = hottest
    assert "PMIC" not in kind
    assert celsius == pytest.approx(board.temperature_c, abs=1.0)
    assert all("PMIC" not in kind for kind in reader.zones())


def test_a_zone_that_never_answers_is_missing_and_one_that_fails_once_is_asked_again() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4", eagain_rate=0)
    reader = ThermalReader(board)
    zones = reader.zones()
    assert zones["cv0-thermal"] is None
    assert zones["cpu-thermal"] is not None
    board.set_faults(f"at read {board.reads + 1}: EAGAIN on thermal\n")
    assert reader.zones()["cpu-thermal"] is not None
    board.set_faults("always: EAGAIN on thermal/cpu-thermal\nalways: EIO on thermal/tj-thermal\n")
    zones = reader.zones()
    assert zones["cpu-thermal"] is None
    assert zones["tj-thermal"] is None
    assert reader.hottest() is not None
    board.set_faults("always: EAGAIN on thermal\n")
    assert reader.hottest() is None


def test_zones_come_in_the_kernel_s_order_and_negative_means_off() -> None:
    files = FakeFiles(
        {
            "/sys/class/thermal/thermal_zone10/type": "late\n",
            "/sys/class/thermal/thermal_zone10/temp": "-256000\n",
            "/sys/class/thermal/thermal_zone2/type": "cpu\n",
            "/sys/class/thermal/thermal_zone2/temp": "41500\n",
            "/sys/class/thermal/thermal_zone3/type": "cpu\n",
            "/sys/class/thermal/thermal_zone3/temp": "junk\n",
            "/sys/class/thermal/thermal_zone4/type": "PMIC-Die\n",
            "/sys/class/thermal/thermal_zone4/temp": "100000\n",
        }
    )
    reader = ThermalReader(files)
    assert list(reader.zones().items()) == [("cpu", 41.5), ("cpu (3)", None), ("late", None)]
    assert reader.hottest() == ("cpu", 41.5)
    assert reader.throttle_alerts() == {}
    assert reader.oc_events() == {}


def test_heat_raises_the_alerts_and_a_running_fan_is_none() -> None:
    board = EmulatedBoard("jetson-tx2", "32.7", eagain_rate=0)
    board.thermals.pwm = 255
    reader = ThermalReader(board)
    assert reader.throttle_alerts() == {"bcpu-throttle-alert": 0, "mcpu-throttle-alert": 0, "gpu-throttle-alert": 0}
    board.plant.temperature_c = board.spec.physics.thermal.throttle_c + 5
    assert set(reader.throttle_alerts().values()) == {1}


def test_over_current_events_are_counted_where_the_board_counts_them() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4", load="constant 1")
    reader = ThermalReader(board)
    before = reader.oc_events()
    assert set(before) == {"oc1", "oc2", "oc3"}
    board.plant.oc_events += 120
    board.clock.sleep(4)
    assert reader.oc_events()["oc3"] - before["oc3"] >= 120
    board.set_faults("always: EINVAL on oc/oc3\n")
    assert set(reader.oc_events()) == {"oc1", "oc2"}
    assert ThermalReader(EmulatedBoard("jetson-tx2", "32.7")).oc_events() == {}


class FakeFiles:
    """Files of a dictionary."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def read_text(self, path: str) -> str:
        return self.texts[path]

    def write_text(self, path: str, text: str) -> None:
        raise AssertionError(path)

    def exists(self, path: str) -> bool:
        return path in self.texts

    def glob(self, pattern: str) -> list[str]:
        import fnmatch

        return sorted(p for p in self.texts if fnmatch.fnmatchcase(p, pattern))
