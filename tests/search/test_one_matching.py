"""One matching of a source to a target: all that speak of it name the same options."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import UsageError
from tuner.objective import LATENCY
from tuner.ports import SourceData
from tuner.search.candidates import Candidates
from tuner.search.coordinates import axis
from tuner.search.matching import match
from tuner.session.run import matching_text
from tuner.sources.compare import compare
from tuner.sources.knowledge import Knowledge, Origin
from tuner.space import Configuration, ConfigurationSpace, Option
from tuner.tables.table import read_table, table_source
from tuner_plugins.strategies.opml19.source_models import fit_source, matched_source
from tuner_plugins.strategies.transfer.guide import make_guide
from tuner_plugins.strategies.transfer.surface import SourceSurface

LEVELS = ("disabled", "basic", "extended", "all")


def source_of(options: list[Option], configurations: list[Configuration]) -> SourceData:
    values = {"latency_s": tuple(1.0 + 0.1 * i for i in range(len(configurations)))}
    return SourceData("s", tuple(options), tuple(configurations), values, (LATENCY,))


def knowledge(data: SourceData) -> Knowledge:
    return Knowledge(
        origin=Origin(kind="table", name="k"),
        created="2026-01-01T00:00:00+00:00",
        tuner_version="0",
        data=data,
        measured=len(data.configurations),
        terms={},
    )


def said_by_all(source: SourceData, options: tuple[Option, ...], quantity: str | None) -> set[tuple[str, ...]]:
    """Return what notice, sampler `transfer`, the study's strategies and `source compare` call matched."""
    said = matching_text(match(source, options)).split(";")[0].removeprefix("speaks of ")
    notice = () if said.startswith("no option") else tuple(said.split(", "))
    matching = match(source, options)
    surface = SourceSurface(matching, np.zeros(len(source.configurations)))  # nothing to fit: fast
    target = source_of(list(options), [])
    try:
        studied, _ = matched_source(source, quantity, options)
        study = tuple(dict.fromkeys(c.option for c in studied.columns))
    except UsageError:  # it shares no option
        study = ()
    compared = tuple(m.option for m in compare(knowledge(target), knowledge(source)).matched)
    return {notice, tuple(a.option.name for a in surface.axes), study, compared}


def test_all_name_the_same_options_for_every_pair_of_the_shared_tables(shared_data: Path) -> None:
    tables = [read_table(p) for p in sorted(shared_data.rglob("*.csv"))]
    sources = [table_source(t) for t in tables]
    for source, target in permutations(sources, 2):
        (said,) = said_by_all(source, target.options, None)
        shared = {o.name for o in source.options} & {o.name for o in target.options}
        assert set(said) <= shared
        alike = [o.name for o in target.options if o.name in shared and len(o.values) > 1]
        varied = {o.name for o in source.options if len({c[o.name] for c in source.configurations}) > 1}
        assert list(said) == [n for n in alike if n in varied]


def test_an_option_whose_levels_are_texts_in_order_is_known_to_all() -> None:
    option = Option("graph", LEVELS)
    source = source_of([option], [{"graph": v} for v in ("all", "basic", "disabled", "all")])
    assert said_by_all(source, (option,), "latency") == {("graph",)}
    (found,) = match(source, (option,)).matched
    assert found.places.tolist() == pytest.approx([1.0, 1 / 3, 0.0, 1.0])
    assert match(source, (option,)).design[:, 0].tolist() == pytest.approx([1.0, -1 / 3, -1.0, 1.0])
    # A table cannot say the order of its texts: to the target they are what they are called.
    unordered = Option("graph", tuple(sorted(LEVELS)), "categorical")
    told = match(source_of([unordered], list(source.configurations)), (option,))
    assert told.matched[0].places.tolist() == found.places.tolist()


def test_an_option_that_the_source_holds_teaches_nothing_and_is_lacking_on_neither_side() -> None:
    varied, held = Option("cores", (1, 2, 4)), Option("gpu_freq_hz", (100, 200, 300))
    source = source_of([varied, held], [{"cores": c, "gpu_freq_hz": 200} for c in (1, 2, 4)])
    assert said_by_all(source, (varied, held), "latency") == {("cores",)}
    text = matching_text(match(source, (varied, held)))
    assert text == "speaks of cores; it has only one level of gpu_freq_hz"
    compared = compare(knowledge(source_of([varied, held], [])), knowledge(source))
    assert compared.right_held == ("gpu_freq_hz",)
    assert compared.left_unmatched == compared.right_unmatched == ()


def test_each_reason_to_leave_an_option_out_is_named_once() -> None:
    options = (
        Option("a", (1, 2)),
        Option("fixed", (7,)),
        Option("mixed", (1, 2)),
        Option("new", (0, 1)),
        Option("kind", ("x", "y"), "categorical"),
    )
    theirs = [
        Option("a", (1, 2)),
        Option("fixed", (7, 8)),
        Option("mixed", ("one", "two"), "categorical"),
        Option("old", (0, 1)),
        Option("kind", ("p", "q"), "categorical"),
    ]
    rows = [{"a": 1 + i, "fixed": 7 + i, "mixed": ("one", "two")[i], "old": i, "kind": "pq"[i]} for i in (0, 1)]
    found = match(source_of(theirs, rows), options)
    assert found.names == ("a",)
    assert (found.fixed, found.incomparable) == (("fixed",), ("mixed", "kind"))
    assert (found.unmatched_target, found.unmatched_source) == (("new",), ("old",))


def test_levels_that_only_the_source_has_are_what_the_others_are_compared_with() -> None:
    option = Option("governor", ("a", "b", "c"), "categorical")
    theirs = Option("governor", ("a", "x", "y"), "categorical")
    source = source_of([theirs], [{"governor": v} for v in ("a", "x", "y", "a")])
    assert said_by_all(source, (option,), "latency") == {("governor",)}
    found = match(source, (option,))
    assert [c.name for c in found.columns] == ["governor[a]"]
    assert found.design[:, 0].tolist() == [1.0, 0.0, 0.0, 1.0]
    # Of levels that are all the target's, the first one is that.
    both = match(source_of([option], [{"governor": v} for v in "abc"]), (option,))
    assert [c.name for c in both.columns] == ["governor[b]", "governor[c]"]


def test_the_ranks_of_a_study_count_among_the_levels_of_its_option_not_among_those_that_it_tried() -> None:
    target = Option("gpu_freq_hz", (10, 20, 40, 80, 160))
    theirs = Option("gpu_freq_hz", (1001, 1002, 1003, 1004, 1005))
    source = source_of([theirs], [{"gpu_freq_hz": v} for v in (1001, 1002)])
    (found,) = match(source, (target,)).matched
    assert found.levels_by == "rank"
    assert found.places.tolist() == axis(target).levels[:2].tolist()


def test_true_and_false_are_known_to_a_boolean_option_and_numbers_to_both() -> None:
    option = Option("arena", (False, True), "categorical")
    for low, high in ((False, True), (0, 1)):
        source = source_of([Option("arena", (low, high))], [{"arena": low}, {"arena": high}])
        assert match(source, (option,)).matched[0].places.tolist() == [0.0, 1.0]


_NAMES = ("a", "b", "c")


@st.composite
def _options(draw: st.DrawFn) -> Option:
    name = draw(st.sampled_from(_NAMES))
    values = draw(
        st.one_of(
            st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True).map(sorted),
            st.lists(st.sampled_from("pqrst"), min_size=1, max_size=4, unique=True),
        )
    )
    return Option(name, tuple(values), draw(st.sampled_from(("ordinal", "categorical"))))


@st.composite
def _sides(draw: st.DrawFn) -> tuple[SourceData, tuple[Option, ...]]:
    target, theirs = (draw(st.lists(_options(), min_size=1, max_size=3, unique_by=lambda o: o.name)) for _ in range(2))
    rows = draw(
        st.lists(
            st.fixed_dictionaries({}, optional={o.name: st.sampled_from(o.values) for o in theirs}),
            min_size=1,
            max_size=6,
        )
    )
    return source_of(theirs, rows), tuple(target)


@given(_sides())
def test_all_agree_on_anything(sides: tuple[SourceData, tuple[Option, ...]]) -> None:
    source, options = sides
    assert len(said_by_all(source, options, "latency")) == 1
    found = match(source, options)
    several = [o.name for o in options if len(o.values) > 1]
    sorted_out = [*found.names, *(m.option.name for m in found.held), *found.incomparable, *found.unmatched_target]
    assert sorted(sorted_out) == sorted(several)
    assert not set(found.unmatched_source) & {o.name for o in options}
    assert np.isfinite(found.design).all()
    assert found.design.shape == (len(source.configurations), len(found.columns))


def test_a_text_ordinal_option_guides_both_kinds_of_strategies() -> None:
    graph, cores = Option("graph", LEVELS), Option("cores", (1, 2, 4, 8))
    space = ConfigurationSpace((graph, cores))
    rows = list(space.configurations())
    cost = {"disabled": 8.0, "basic": 4.0, "extended": 2.0, "all": 1.0}
    values = tuple(cost[str(c["graph"])] * (1 + 0.01 * float(c["cores"])) for c in rows)
    source = SourceData("s", space.options, tuple(rows), {"latency_s": values}, (LATENCY,))
    guide = make_guide(source, "latency_s", Candidates(space))
    assert guide is not None
    assert int(np.argmax(guide.relevance)) == 0
    model = fit_source(source, "latency", space, "rt", 0)
    every = np.array([space.indices(c) for c in rows])
    assert model.predict(every).tolist() == pytest.approx(list(values))
