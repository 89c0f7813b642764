"""How tests open workloads, and the real models that they run."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuner.config.values import Settings
from tuner.ports import OpenContext
from tuner.session.stop import SignalStop

Context = Callable[..., OpenContext]


@pytest.fixture
def stop() -> SignalStop:
    return SignalStop()


@pytest.fixture
def context(tmp_path: Path, stop: SignalStop) -> Context:
    """Make an `OpenContext` with the settings that are given."""

    def make(**settings: Any) -> OpenContext:
        return OpenContext(Settings(seed=1, **settings), str(tmp_path), stop)

    return make


@pytest.fixture(scope="session")
def pretrained() -> Path:
    """A pre-trained model from a package: the orientation classifier of RapidOCR."""
    found = importlib.util.find_spec("rapidocr_onnxruntime")
    if found is None or found.origin is None:
        pytest.skip("no pre-trained model is here: pip install --no-deps rapidocr-onnxruntime")
    models = sorted((Path(found.origin).parent / "models").glob("*cls*.onnx"))
    assert models
    return models[0]


@pytest.fixture
def no_child_left() -> Iterator[None]:
    """Fail where a test leaves a child process (running or unreaped) behind."""
    before = children()
    yield
    assert children() <= before


def children() -> set[int]:
    """Return the process ids of this process's children."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.add(int(entry.name))
    return found
