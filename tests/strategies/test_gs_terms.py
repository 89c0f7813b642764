from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.api import OLS, add_constant

from tests.conftest import ROOT
from tuner.cli.main import run
from tuner.search.matching import Matching, match
from tuner.sources.stepwise import StepwiseFit, fit_stepwise
from tuner.tables.table import read_table, table_source


@pytest.fixture
def source_table(shared_data: Path) -> Path:
    return shared_data / "opml19_tx2" / "inceptionv3_600x600.csv"


def selected(path: Path, quantity: str) -> tuple[Matching, NDArray[np.float64], StepwiseFit]:
    """Return the source through its own options, one of its quantities, and the regression on it."""
    source = table_source(read_table(path))
    metric = next(m for m in source.metrics if m.quantity == quantity)
    matching = match(source, source.options)
    names = [c.name for c in matching.columns]
    groups = [c.option for c in matching.columns]
    values = np.array(source.values[metric.name], dtype=float)
    return matching, values, fit_stepwise(names, matching.design, values, groups=groups)


@pytest.mark.parametrize("quantity", ["latency", "energy", "edp"])
def test_terms_agree_with_statsmodels_own_refit(source_table: Path, quantity: str) -> None:
    matched, values, fit = selected(source_table, quantity)
    names = [c.name for c in matched.columns]
    columns = [np.prod(matched.design[:, [names.index(n) for n in t.options]], axis=1) for t in fit.terms]
    refit = OLS(np.log(values), add_constant(np.stack(columns, axis=1))).fit()
    assert refit.params[1:] == pytest.approx([t.coefficient for t in fit.terms])
    assert refit.pvalues[1:] == pytest.approx([t.p_value for t in fit.terms], rel=1e-6, abs=0)
    assert refit.rsquared == pytest.approx(fit.r2)
    assert refit.pvalues[1:].max() <= 0.05


def test_the_docs_list_what_source_show_prints(source_table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["source", "show", str(source_table)], False) == 0
    listing = capsys.readouterr().out
    shown = listing[listing.index("latency (") :].rstrip()
    assert shown in (ROOT / "docs" / "strategies.md").read_text()
    for quantity in ("latency", "energy", "edp"):
        assert selected(source_table, quantity)[2].formula in shown
