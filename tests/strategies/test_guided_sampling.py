from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from tuner import registry
from tuner.config.values import Settings
from tuner.objective import Objective
from tuner.ports import StrategyContext
from tuner.search.matching import match
from tuner.sources.stepwise import fit_stepwise
from tuner.space import ConfigurationSpace, Option, table_space
from tuner.tables.table import read_table, table_source
from tuner.testing.driving import Driver


def test_planted_terms_are_found_and_idle_options_are_not() -> None:
    rng = np.random.default_rng(1)
    design = rng.uniform(-1, 1, (200, 5))
    log_y = 1 + 0.8 * design[:, 0] - 0.5 * design[:, 2] + 0.6 * design[:, 0] * design[:, 2]
    fit = fit_stepwise("abcde", design, np.exp(log_y + rng.normal(0, 0.01, 200)))
    found = {t.name: t.coefficient for t in fit.terms if abs(t.coefficient) > 0.02}
    assert set(found) == {"a", "c", "a:c"}
    assert found["a:c"] == pytest.approx(0.6, abs=0.02)


def test_several_aliases_are_summed() -> None:
    source = table_source_of(["x0", "x1"], [(0, 0), (0, 1), (1, 1)])
    option = Option("count", (0, 1, 2), aliases=("x0", "x1"))
    matched = match(source, [option])
    assert matched.design[:, 0].tolist() == [-1, 0, 1]
    assert matched.unmatched_source == ()


def table_source_of(names: list[str], rows: list[tuple[int, ...]]):
    from tuner.objective import LATENCY
    from tuner.ports import SourceData

    options = tuple(Option(n, tuple(sorted({r[i] for r in rows}))) for i, n in enumerate(names))
    values = {"latency_s": tuple(float(i + 1) for i in range(len(rows)))}
    return SourceData("s", options, tuple(dict(zip(names, r, strict=True)) for r in rows), values, (LATENCY,))


def test_first_suggestions_are_good_on_every_pair(shared_data: Path) -> None:
    tables = {p.stem: read_table(p) for p in sorted((shared_data / "opml19_tx2").glob("*.csv"))}
    ratios = []
    for a, b in permutations(tables, 2):
        target = tables[b]
        space = table_space(target.options, target.configurations)
        for metric in target.metrics[:2]:
            value = {
                space.indices(c): r[metric.name][0] for c, r in zip(target.configurations, target.repeats, strict=True)
            }
            context = StrategyContext(
                space, Objective(metric.quantity, metric), 1, 19, (table_source(tables[a]),), Settings(seed=1)
            )
            driver = Driver(registry.create("strategies", "gs"), context)
            found = driver.run(9, lambda indices, value=value: value[tuple(indices)])
            assert len(set(found)) == 9
            ratios.append(min(value[i] for i in found) / min(value.values()))
    # A random nine of these tables is on average 1.6 times the optimum or worse.
    assert np.mean(ratios) < 1.35


def test_a_huge_space_is_searched(shared_data: Path) -> None:
    source = table_source(read_table(shared_data / "opml19_tx2" / "inceptionv3_600x600.csv"))
    more = tuple(Option(f"o{i}", tuple(range(8))) for i in range(12))
    space = ConfigurationSpace((*source.options, *more))
    context = StrategyContext(space, Objective("latency", source.metrics[0]), 1, 40, (source,), Settings(seed=1))
    found = Driver(registry.create("strategies", "gs"), context, wrapped=False).run(25)
    assert len(set(found)) == 25
    assert all(space.from_indices(i) in space for i in found)
    # The options that the source does not know are moved too.
    assert all(len({row[-1 - i] for row in found}) > 3 for i in range(12))
