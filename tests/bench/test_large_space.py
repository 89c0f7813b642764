"""The emulated large space of `benchmarks/large_space.py`."""

from __future__ import annotations

import numpy as np

from benchmarks.large_space import descend, make_problem, make_response, make_space, rows_of, run_here


def test_the_space_has_26_options_and_is_larger_than_a_billion() -> None:
    space = make_space()
    assert len(space.options) == 26
    assert space.size > 10**9


def test_no_random_configuration_is_better_than_what_the_descents_found() -> None:
    rng = np.random.default_rng(3)
    space = make_space()
    response = make_response(space, rng)
    least = descend(space, response, rng, starts=5)
    drawn = [[int(rng.integers(len(o.values))) for o in space.options] for _ in range(500)]
    assert min(map(response.log_value, drawn)) > least


def test_the_source_is_related_and_noise_is_repeatable() -> None:
    problem = make_problem(0, sources=300, spread=0.3, starts=1)
    here = [problem.target.log_value(i) for i in problem.source_indices]
    assert 0.4 < np.corrcoef(here, np.log(problem.source_values))[0, 1] < 0.999
    first = problem.source_indices[0]
    assert problem.measure(first) == problem.measure(first)


def test_a_run_reports_the_best_so_far() -> None:
    problem = make_problem(1, sources=20, spread=0.3, starts=1)
    measured, ask_ms = run_here("random", problem, 20)
    rows = rows_of("random", problem, measured, ask_ms)
    assert [r["evaluations"] for r in rows] == [10, 20]
    assert len(set(measured)) == 20
