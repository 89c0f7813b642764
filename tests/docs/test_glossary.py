"""The glossary has every name that a user can type and every word of the domain, once, in order."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from tuner import registry
from tuner.cli.list import GROUPS
from tuner.objective import OBJECTIVES

#: Words of the domain, beside the names of plugins and objectives.
WORDS = """
acquisition function, actuator, apply, baseline, belief, bench, benchmarks, board, budget, candidate, categorical,
configuration, configuration space, constraint, daemon, design, device, emulated board, environment, exporter, face,
feasible, governor, guard, hardware file, importance, incumbent, infeasible, input size, interaction term, journal,
learner, level, matching, measurement, meter, metric, model shift, negative transfer, objective, observation, option,
ordinal, original value, ort_..., owner, pending, performance model, plugin, port, power mode, profile, rail, record,
regret, repeat, restore, revert, runtime option, sampler, saving, seed, session, setting, source, source file, space,
stock mode, strategy, study, suggestion, surrogate, target, throttling, trial, verify, warm start, warm-up, workload
"""


def entries() -> list[tuple[str, str]]:
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    return re.findall(r"^- \*\*(.+?)\*\*: (.+)$", "\n".join(lines), re.MULTILINE)


def test_each_line_is_a_term_in_alphabetical_order() -> None:
    terms = [term for term, _ in entries()]
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    assert len(terms) == sum(line.startswith(("- ", "  ")) for line in lines)
    assert terms == sorted(set(terms), key=str.casefold)
    assert [term for term, text in entries() if text.endswith(".") or len(text) > 160] == []


@pytest.mark.parametrize("group", GROUPS)
def test_each_plugin_is_a_term(group: str) -> None:
    assert set(registry.names(group)) <= {term for term, _ in entries()}


def test_each_objective_and_each_word_of_the_domain_is_a_term() -> None:
    words = {" ".join(word.split()) for word in WORDS.split(",")}
    assert (words | set(OBJECTIVES)) - {term for term, _ in entries()} == set()


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_it_is_linked(name: str) -> None:
    assert "(docs/glossary.md)" in (ROOT / name).read_text(encoding="utf-8")
