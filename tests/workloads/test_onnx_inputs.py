from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import UsageError
from tuner_plugins.workloads.onnx.inputs import default_shape, parse_shapes
from tuner_plugins.workloads.onnx.options import thread_levels


@given(
    st.dictionaries(
        st.text(min_size=1).filter(lambda name: name == name.strip() and "\n" not in name),
        st.lists(st.integers(1, 4096), min_size=1, max_size=5),
        max_size=4,
    )
)
def test_shapes_are_read_as_they_are_written(shapes: dict[str, list[int]]) -> None:
    texts = [f"{name}={'x'.join(map(str, shape))}" for name, shape in shapes.items()]
    assert parse_shapes(texts) == shapes


@given(st.text())
def test_any_text_is_a_shape_or_a_usage_error(text: str) -> None:
    try:
        shapes = parse_shapes([text])
    except UsageError:
        return
    assert all(d > 0 for shape in shapes.values() for d in shape)


def test_two_shapes_for_one_input_are_refused() -> None:
    with pytest.raises(UsageError, match="two shapes"):
        parse_shapes(["x=1", "x=2"])


@pytest.mark.parametrize(
    ("declared", "shape"),
    [
        (["n", 3, "h", "w"], [1, 3, 224, 224]),
        (["n", "c", "h", "w"], [1, 3, 224, 224]),
        ([None, "h", "w", 3], [1, 224, 224, 3]),
        ([4, 3, 32, "w"], [4, 3, 32, 224]),
        (["batch", "sequence_length"], [1, 128]),
        (["n", 10], [1, 10]),
        ([], []),
        ([0, -1], [1, 1]),
    ],
)
def test_free_dimensions(declared: list[int | str | None], shape: list[int]) -> None:
    assert default_shape(declared) == shape


@pytest.mark.parametrize(
    ("cpus", "levels"),
    [(1, (1,)), (2, (1, 2)), (6, (1, 2, 3, 4, 5, 6)), (12, (*range(1, 9), 12)), (64, (*range(1, 9), 16, 32, 64))],
)
def test_thread_levels(cpus: int, levels: tuple[int, ...]) -> None:
    assert thread_levels(cpus) == levels
