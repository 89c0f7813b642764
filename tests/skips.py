"""What a run skipped, why, and what would make it run: printed at the run's end.

The reason of a skip names both: what is missing, and where something can be installed, what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

#: Of tests that are left out by their mark.
SLOW = "Tests marked slow (minutes each) are run by `make test-boards`."


def grouped(reasons: Iterable[str]) -> list[str]:
    """Return a line for each reason, the most frequent first."""
    counts = Counter(reason.removeprefix("Skipped: ") for reason in reasons)
    return [f"{count:5} {reason}" for reason, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print it, where anything was skipped."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = [str(report.longrepr[2]) for report in reports if isinstance(report.longrepr, tuple)]
    if reasons:
        terminalreporter.section("not run here, and why")
        for line in grouped(reasons):
            terminalreporter.write_line(line)
    if "not slow" in config.getoption("markexpr"):
        terminalreporter.write_line(SLOW)
