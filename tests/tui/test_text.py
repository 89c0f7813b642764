"""Values as people read them."""

from __future__ import annotations

import pytest

from tuner.printable import printable
from tuner.space import OptionValue
from tuner.tui.text import format_configuration, format_duration, format_metric, format_option, format_saving


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("gpu_freq_hz", 1300500000, "1300.5 MHz"),
        ("gpu_freq_hz", 1134750000, "1134.75 MHz"),
        ("cpu_freq_khz", 2035200, "2035.2 MHz"),
        ("cpu_freq_khz", 345, "345 kHz"),
        ("emc_freq_hz", 0, "0 Hz"),
        ("cores", 4, "4"),
        ("spinning", True, "on"),
        ("gpu_freq_hz", "schedutil", "schedutil"),
        ("ratio", 0.25, "0.25"),
        ("absent", None, "-"),
    ],
)
def test_options(name: str, value: OptionValue | None, shown: str) -> None:
    assert format_option(name, value) == shown


def test_durations() -> None:
    assert [format_duration(s) for s in (0, 7.4, 754, 3723, None, float("inf"))] == [
        "0:00",
        "0:07",
        "12:34",
        "1:02:03",
        "?",
        "?",
    ]


def test_metrics_savings_and_configurations() -> None:
    assert format_metric("latency_p95_s", 0.0321) == "32.1 ms"
    assert format_metric("energy_mw_samples", 12.0) == "12"
    assert format_saving(31.23) == "31.2 %"
    assert format_saving(None) == "-"
    assert format_configuration({"a_freq_hz": 10**9, "b": 2}) == "a_freq_hz=1000 MHz, b=2"


def test_text_that_would_move_the_cursor_is_made_harmless() -> None:
    assert printable("a\tb\nc\x1b[2J\ud800") == "a b c?[2J?"
    assert printable("µJ ±1 °C 漢", ascii_only=True) == "uJ +/-1 C ?"
