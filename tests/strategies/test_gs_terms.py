from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from statsmodels.api import OLS, add_constant

from benchmarks.gs_terms import listing, selected
from tests.conftest import ROOT


@pytest.fixture
def source_table(shared_data: Path) -> Path:
    return shared_data / "opml19_tx2" / "inceptionv3_600x600.csv"


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


def test_the_docs_list_what_the_script_prints(source_table: Path) -> None:
    assert listing(source_table) in (ROOT / "docs" / "strategies.md").read_text()
