from __future__ import annotations

import json

import pytest

from tests.profiles.examples import tx2_profile
from tuner import registry
from tuner.profiles import ProfileOption


def test_all_of_the_profile() -> None:
    profile = tx2_profile(name="käse\n", constraints=("latency<=1",), feasible=False)
    shown = json.loads(registry.create("exporters", "json").export(profile))
    assert next(iter(shown)) == "schema_version"
    assert shown["name"] == "käse\n"
    assert shown["options"]["gpu_freq_hz"] == {"value": 854_250_000, "unit": "Hz", "scope": "board"}
    energy = {name: value for name, value in shown["metrics"]["energy_j"].items() if value is not None}
    assert energy == {"value": 1.5, "unit": "J", "ci_low": 1.4, "ci_high": 1.6}
    assert shown["saving_ci_percent"] == [38.5, 41.5]
    assert shown["constraints"] == ["latency<=1"]
    assert shown["feasible"] is False
    assert shown["emulated"] is True


@pytest.mark.parametrize("value", [True, 2**70, 0.1, "x"])
def test_values_keep_their_type(value: bool | int | float | str) -> None:
    profile = tx2_profile(options={"x": ProfileOption(value)})
    again = json.loads(registry.create("exporters", "json").export(profile))["options"]["x"]["value"]
    assert again == value
    assert type(again) is type(value)
