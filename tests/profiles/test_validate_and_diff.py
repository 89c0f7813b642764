from __future__ import annotations

import pytest

from tests.profiles.examples import host_profile, tx2_profile
from tuner.boards.board import load_board
from tuner.errors import OptionValueError, WrongBoardError
from tuner.profiles import ProfileMetric, ProfileOption
from tuner.profiles.diff import diff_profiles
from tuner.profiles.validate import require_board, require_valid, validate

OPTIONS = load_board("jetson-tx2").options


def test_a_fitting_profile_has_no_problems() -> None:
    assert validate(tx2_profile(), OPTIONS) == []
    require_valid(tx2_profile(), OPTIONS)


def test_each_problem_is_one_sentence() -> None:
    profile = host_profile(
        {
            "cpu_cores_online": ProfileOption(9),
            "gpu_freq_hz": ProfileOption(854_250_000, "kHz"),
            "warp_factor": ProfileOption(3),
            "intra_op_threads": ProfileOption(3, scope="workload"),
        }
    )
    value, unit, unknown = validate(profile, OPTIONS)
    assert "'cpu_cores_online' has no value 9" in value
    assert "in Hz here, and the profile gives kHz" in unit
    assert "no option 'warp_factor'" in unknown
    with pytest.raises(OptionValueError, match=r"'cpu_cores_online' has no value 9.*\(and 2 more\)"):
        require_valid(profile, OPTIONS)


def test_a_text_is_not_the_number_that_it_looks_like() -> None:
    assert validate(host_profile({"cpu_cores_online": ProfileOption("2")}), OPTIONS)


def test_another_board_is_named_with_both_names() -> None:
    require_board(tx2_profile(), "jetson-tx2")
    with pytest.raises(WrongBoardError, match=r"board 'jetson-tx2', and this is 'jetson-tx1'"):
        require_board(tx2_profile(), "jetson-tx1")


def test_no_differences() -> None:
    assert diff_profiles(tx2_profile(), tx2_profile()) == ()


def test_differences() -> None:
    right = tx2_profile(
        options={**tx2_profile().options, "cpu_cores_online": ProfileOption(4)},
        metrics={"energy_j": ProfileMetric(value=3.0, unit="J")},
        emulated=False,
    )
    found = {(c.section, c.name): c for c in diff_profiles(tx2_profile(), right)}
    assert set(found) == {
        ("option", "cpu_cores_online"),
        ("metric", "energy_j"),
        ("metric", "latency_s"),
        ("profile", "emulated"),
    }
    assert found["metric", "energy_j"].relative_percent == pytest.approx(100.0)
    assert found["metric", "energy_j"].unit == "J"
    assert found["metric", "latency_s"].right is None
    assert found["metric", "latency_s"].relative_percent is None
    assert found["profile", "emulated"].relative_percent is None


def test_true_and_one_differ() -> None:
    a, b = host_profile({"x": ProfileOption(True)}), host_profile({"x": ProfileOption(1)})
    assert [c.name for c in diff_profiles(a, b)] == ["x"]
