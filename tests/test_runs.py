"""A run of the tests judges nothing by its time, and says what it left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import settings

from tests.conftest import ROOT
from tests.skips import grouped

EXAMPLES = """
import pytest

@pytest.mark.parametrize("n", range(3))
def test_a(n):
    pytest.skip("tmux is not installed: apt-get install tmux")

@pytest.mark.skipif(True, reason="no GPU is here")
def test_b():
    pass
"""


def test_no_property_has_a_deadline() -> None:
    assert settings().deadline is None


def test_reasons_are_grouped_the_most_frequent_first() -> None:
    assert grouped(["Skipped: a", "b", "b", "Skipped: b"]) == ["    3 b", "    1 a"]


def test_a_run_ends_with_what_was_skipped_and_why(tmp_path: Path) -> None:
    (tmp_path / "test_examples.py").write_text(EXAMPLES)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.skips", "-n", "2", "-m", "not slow", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "\n    3 tmux is not installed: apt-get install tmux\n    1 no GPU is here\n" in done.stdout
    assert "make test-boards" in done.stdout
