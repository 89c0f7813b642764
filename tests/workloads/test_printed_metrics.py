from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import MeasurementError
from tuner_plugins.workloads.command.printed_metrics import parse_metrics, printed_metric

names = st.from_regex(r"[a-z][a-z_]{0,12}", fullmatch=True)
numbers = st.floats(0, 1e12, allow_nan=False)


@given(st.dictionaries(names, numbers, min_size=1))
def test_lines_words_and_json_say_the_same(metrics: dict[str, float]) -> None:
    pairs = [f"{name}={value!r}" for name, value in metrics.items()]
    assert parse_metrics("progress 50%\n" + "\n".join(pairs)) == metrics
    assert parse_metrics(" ".join(pairs) + "\n\n") == metrics
    assert parse_metrics(f"a=not this\n{json.dumps(metrics)}") == metrics


@given(st.text())
def test_any_text_is_understood_or_refused_but_never_fatal(text: str) -> None:
    try:
        metrics = parse_metrics(text)
    except MeasurementError:
        return
    assert all(value == value for value in metrics.values())


@pytest.mark.parametrize("text", ["", "hello", "a=1\nhello", "a = 1", "a=x", "[1, 2]", "{", '{"a": "1"}', "1=2"])
def test_texts_without_metrics_at_their_end(text: str) -> None:
    assert parse_metrics(text) == {}


def test_the_last_value_of_a_name_counts() -> None:
    assert parse_metrics("latency_s=3\nlatency_s=2") == {"latency_s": 2.0}


def test_units_come_from_the_ending() -> None:
    assert printed_metric("power_w").quantity == "power"
    assert (printed_metric("load_time_s").unit, printed_metric("accuracy").unit) == ("s", "")


@pytest.mark.parametrize(
    "value", ["[" * 200_000 + "]" * 200_000, "9" * 10_000, '{"b":' * 100_000 + "1" + "}" * 100_000]
)
def test_json_that_is_too_deep_or_too_large_is_no_metric(value: str) -> None:
    assert parse_metrics('{"latency_s": ' + value + "}") == {}
