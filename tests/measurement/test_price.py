from __future__ import annotations

import pytest

from tuner.measurement.confirmation import paired_change
from tuner.measurement.price import price_of_rounds, price_of_search
from tuner.objective import ENERGY, LATENCY, LATENCY_P95, POWER, TEMPERATURE
from tuner.session.verdict import NO_SAVING, confirmed_headline, saving_text, unconfirmed_headline

METRICS = (ENERGY, LATENCY, LATENCY_P95, TEMPERATURE, POWER)


def rounds(energy_j: float, latency_s: float, temperature_c: float) -> list[dict[str, float]]:
    return [
        {
            "energy_j": energy_j * noise,
            "latency_s": latency_s * noise,
            "latency_p95_s": latency_s * noise * 1.1,
            "temperature_c": temperature_c + noise,
        }
        for noise in (1.0, 1.01, 0.99, 1.005, 0.995)
    ]


BEFORE, AFTER = rounds(2.0, 0.1, 40.0), rounds(1.1, 0.134, -5.0)[::-1]
PRICE = price_of_rounds(METRICS, BEFORE, AFTER)
CHANGE = paired_change([r["energy_j"] for r in BEFORE], [r["energy_j"] for r in AFTER])


def test_every_metric_has_its_price_with_intervals() -> None:
    assert list(PRICE) == ["energy_j", "latency_s", "latency_p95_s", "temperature_c"]
    energy = PRICE["energy_j"]
    assert energy.baseline == pytest.approx(2.0, rel=1e-3)
    assert energy.best == pytest.approx(1.1, rel=1e-3)
    assert energy.change_percent == pytest.approx(-CHANGE.saving_percent)
    assert energy.baseline_ci is not None
    assert energy.baseline_ci[0] < 2.0 < energy.baseline_ci[1]
    assert energy.change_ci_percent is not None
    assert energy.change_ci_percent[0] < -45 < energy.change_ci_percent[1]


def test_a_temperature_has_no_ratio() -> None:
    temperature = PRICE["temperature_c"]
    assert temperature.change_percent is None
    assert temperature.baseline == pytest.approx(41)
    assert temperature.best == pytest.approx(-4)
    assert not temperature.is_worse


def test_what_gets_worse_is_named_beside_the_saving_once() -> None:
    assert confirmed_headline("energy", CHANGE, PRICE) == "saves 45.0% ± 0.3% energy, latency +34%"


def test_what_gets_worse_by_little_is_not() -> None:
    price = price_of_rounds(METRICS, BEFORE, rounds(1.1, 0.109, 40))
    assert confirmed_headline("energy", CHANGE, price) == "saves 45.0% ± 0.3% energy"


def test_an_interval_with_zero_is_no_saving() -> None:
    change = paired_change([1.0, 1.1, 0.9, 1.0, 1.05], [0.98, 1.05, 0.93, 0.99, 1.0])
    assert confirmed_headline("energy", change, PRICE).startswith(NO_SAVING)


@pytest.mark.parametrize(
    ("percent", "interval", "text"),
    [
        (45.23, (44.2, 46.2), "45.2% ± 1.0%"),
        (31.4, (28.0, 34.0), "31% ± 4%"),
        (31.4, (31.4, 31.4), "31.4% ± 0.1%"),
        (31.4, None, "31.4%"),
    ],
)
def test_a_saving_is_written_as_precisely_as_it_is_known(
    percent: float, interval: tuple[float, float] | None, text: str
) -> None:
    assert saving_text(percent, interval) == text


def test_what_was_not_confirmed_says_so() -> None:
    price = price_of_search(METRICS, {"energy_j": 2.0, "latency_s": 0.1}, {"energy_j": 1.0, "latency_s": 0.2})
    assert price["energy_j"].change_percent == -50
    assert price["energy_j"].change_ci_percent is None
    said = unconfirmed_headline("energy", 50.0, price, "--no-confirm was given")
    assert said == "not confirmed (--no-confirm was given): saves 50.0% energy by the search alone, latency +100%"
    assert unconfirmed_headline("energy", -1.0, price, "why").startswith(NO_SAVING)
    assert "no baseline" in unconfirmed_headline("energy", None, {}, "why")


def test_a_search_without_a_baseline_has_values_only() -> None:
    price = price_of_search(METRICS, {}, {"energy_j": 1.0, "temperature_c": 30.0})
    assert price["energy_j"].baseline is None
    assert price["energy_j"].change_percent is None
    assert not price["energy_j"].is_worse
