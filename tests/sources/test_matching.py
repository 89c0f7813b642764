"""Which options and units of two environments mean the same."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import UnitMismatchError
from tuner.objective import LATENCY, Metric
from tuner.ports import SourceData
from tuner.search.matching import match, names_in_source
from tuner.sources.units import require_factor, unit_factor
from tuner.space import Option


def known(*options: Option) -> dict[str, Option]:
    return {o.name: o for o in options}


def level(name: str, *aliases: str) -> Option:
    return Option(name, (1, 2, 3), aliases=aliases)


@pytest.mark.parametrize(
    ("target", "source", "names"),
    [
        (level("gpu"), [level("gpu")], ("gpu",)),
        (level("gpu_freq_hz"), [level("GPU-Freq.Hz")], ("GPU-Freq.Hz",)),
        (level("gpu"), [level("GPU"), level("gpu")], ("gpu",)),
        (level("gpu"), [level("GPU"), level("g-p-u")], ()),
        (level("cores", "c0", "c1"), [level("c0"), level("c1")], ("c0", "c1")),
        (level("cores", "c0", "c1"), [level("C_0"), level("c1")], ("C_0", "c1")),
        (level("cores", "c0", "c1"), [level("c0")], ()),
        (level("cores", "c0", "C0"), [level("c_0")], ()),
        (level("gpu_hz"), [level("gpu_clock", "GPU_Hz")], ("gpu_clock",)),
        (level("c0"), [level("cores", "c0", "c1")], ()),
        (level("gpu"), [level("cpu")], ()),
        (level("++"), [level("--")], ()),
    ],
)
def test_names(target: Option, source: list[Option], names: tuple[str, ...]) -> None:
    assert names_in_source(target, known(*source)) == names


def test_what_matched_and_what_did_not_is_listed() -> None:
    options = (level("GPU"), level("c0"), level("c1"), level("odd"), Option("constant", (1,)))
    configurations = tuple({"GPU": a, "c0": b, "c1": 1, "odd": a, "constant": 1} for a in (1, 2, 3) for b in (1, 2))
    source = SourceData("s", options, configurations, {"latency_s": (1.0,) * 6}, (LATENCY,))
    found = match(source, (level("gpu"), level("cores", "c0", "c1"), level("new")))
    assert {m.option.name: m.names for m in found.matched} == {"gpu": ("GPU",), "cores": ("c0", "c1")}
    assert found.unmatched_target == ("new",)
    assert found.unmatched_source == ("odd",)
    assert found.design[:, 0].tolist() == [-1, -1, 0, 0, 1, 1]


def metric(unit: str, name: str = "m") -> Metric:
    return Metric(name, "m", unit)


@pytest.mark.parametrize(
    ("source", "target", "factor"),
    [
        ("ms", "s", 1e-3),
        ("s", "ms", 1e3),
        ("J", "J", 1.0),
        ("mJ", "J", 1e-3),
        ("W·s", "J", 1.0),
        ("mW·h", "J", 3.6),
        ("mJ·ms", "J·s", 1e-6),
        ("kHz", "Hz", 1e3),
        ("mW-samples", "mW-samples", 1.0),
        ("mW-samples", "J", None),
        ("W", "J", None),
        ("s", "J", None),
        ("as recorded", "as recorded", 1.0),
        ("as recorded", "s", None),
        ("", "s", None),
        ("ticks", "s", None),
        ("··", "s", None),
    ],
)
def test_units(source: str, target: str, factor: float | None) -> None:
    found = unit_factor(metric(source), metric(target))
    assert found is None if factor is None else found == pytest.approx(factor)


def test_an_unstated_unit_agrees_with_itself_under_one_name_only() -> None:
    assert unit_factor(metric("", "a"), metric("", "b")) is None
    with pytest.raises(UnitMismatchError, match="'s' measured m in mW-samples, the objective is in J") as caught:
        require_factor("s", metric("mW-samples"), metric("J"))
    assert caught.value.exit_code == 44
    assert caught.value.hint
    assert require_factor("s", metric("ms"), metric("s")) == pytest.approx(1e-3)


@given(st.text("mkµsJWh·-*Hz", max_size=6), st.text("mkµsJWh·-*Hz", max_size=6))
def test_there_and_back_is_one(a: str, b: str) -> None:
    there, back = unit_factor(metric(a), metric(b)), unit_factor(metric(b), metric(a))
    assert (there is None) == (back is None)
    assert there is None or back is None or math.isclose(there * back, 1.0)
