"""`tuner bench`: comparisons of strategies and performance models on measured tables."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tuner.cli.out import say, say_progress
from tuner.errors import UsageError
from tuner.files import user_path

if TYPE_CHECKING:
    from tuner.bench.cases import Case

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
    click.option(
        "--source",
        "sources",
        metavar="CSV",
        multiple=True,
        required=True,
        help="Table of a source, or 'none'; may be given several times.",
    ),
    click.option(
        "--target",
        "targets",
        metavar="CSV",
        multiple=True,
        required=True,
        help="Table of a target; may be given several times. Each pair of different tables is run.",
    ),
    click.option(
        "--objective",
        "objectives",
        metavar="NAME",
        multiple=True,
        default=("both",),
        show_default=True,
        help="time, energy, or both (as far as the tables hold them); may be given several times.",
    ),
    click.option(
        "--strategies",
        metavar="A,B",
        required=True,
        help="Strategies by name; any Optuna sampler by its class, or as package.module:Class.",
    ),
    click.option(
        "--seeds", type=click.IntRange(1), metavar="N", default=20, show_default=True, help="Runs of each case."
    ),
    click.option(
        "--mislead",
        type=click.Choice(["shuffled", "reversed"]),
        help="Shuffle the source's values among its rows (by the seed), or reverse their ranks.",
    ),
    click.option(
        "--drop",
        "drops",
        metavar="OPTION:high|low[:N]",
        multiple=True,
        help="Remove the N (2) highest or lowest levels of an option from the source.",
    ),
    click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes. [default: the number of cores]"),
    click.option("--json", "json_path", metavar="FILE", help="Also write the rows there, as a JSON list."),
)


def _bench_options(function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


class _SeveralValues(click.Command):
    """Takes ``--target A B C`` for ``--target A --target B --target C``: shells expand ``*.csv`` to that."""

    _FLAGS = frozenset({"--source", "--target", "--objective"})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert the flag before each further value."""
        expanded: list[str] = []
        flag: str | None = None
        for position, token in enumerate(args):
            if token.startswith("-") or flag is None:
                flag = token if token in self._FLAGS else None
            elif args[position - 1] != flag:
                expanded.append(flag)
            expanded.append(token)
        return super().parse_args(ctx, expanded)


@click.group()
def command() -> None:
    """Compare strategies and performance models on measured tables."""


@command.command("optimise", cls=_SeveralValues)
@_bench_options
@click.option(
    "--evaluations",
    type=click.IntRange(1),
    metavar="N",
    default=38,
    show_default=True,
    help="Configurations that each run measures.",
)
@click.option(
    "--learner", metavar="NAME", default="rt", show_default=True, help="Performance model of strategies that need one."
)
def optimise(evaluations: int, learner: str, json_path: str | None, **given: Any) -> None:
    """Compare strategies: how near the optimum, after how many trials."""
    from tuner.bench.optimise import optimise_rows
    from tuner.bench.report import optimise_report
    from tuner.bench.strategies import strategy_named

    names = _names(given.pop("strategies"), "--strategies")
    for name in names:
        strategy_named(name)
    cases = _cases(names, [learner], **given)
    rows = _run(optimise_rows, [(case, evaluations) for case in cases], given["jobs"], json_path)
    say(*optimise_report(rows, evaluations).split("\n"))


@command.command("model", cls=_SeveralValues)
@_bench_options
@click.option(
    "--budget",
    metavar="N|PERCENT",
    default="2.44%",
    show_default=True,
    help="Target configurations to measure: share or count.",
)
@click.option("--learners", metavar="A,B", default="rt,nn", show_default=True, help="Performance models by name.")
@click.option(
    "--on",
    "scored",
    type=click.Choice(["unmeasured", "all"]),
    default="unmeasured",
    show_default=True,
    help="Which rows the model is scored on.",
)
@click.option("--figure2", is_flag=True, help="Print the study's Figure 2 as a table.")
def model(budget: str, learners: str, scored: str, figure2: bool, json_path: str | None, **given: Any) -> None:
    """Compare performance models of a target after few measurements."""
    from tuner.bench.figure2 import figure2_report
    from tuner.bench.model import model_rows, modeller, parse_budget
    from tuner.bench.report import model_report

    names = _names(given.pop("strategies"), "--strategies")
    for name in names:
        modeller(name)
    _known_learners(wanted := _names(learners, "--learners"))
    parse_budget(budget, 10**6)
    cases = _cases(names, wanted, **given)
    rows = _run(model_rows, [(case, budget, scored == "all") for case in cases], given["jobs"], json_path)
    say(*(figure2_report(rows) if figure2 else model_report(rows)).split("\n"))


def _names(text: str, flag: str) -> list[str]:
    names = list(dict.fromkeys(n.strip() for n in text.split(",") if n.strip()))
    if not names:
        raise UsageError(f"{flag} names nothing.", "Write names with commas between them.")
    return names


def _known_learners(wanted: Sequence[str]) -> None:
    from tuner import registry
    from tuner.errors import UnknownModelError

    for name in wanted:
        if name not in registry.names("models"):
            raise UnknownModelError(name, registry.names("models"))


def _cases(
    strategies: Sequence[str],
    learners: Sequence[str],
    *,
    sources: Sequence[str],
    targets: Sequence[str],
    objectives: Sequence[str],
    seeds: int,
    mislead: str | None,
    drops: Sequence[str],
    **_: Any,
) -> list[Case]:
    from tuner.bench.cases import Case, pairs, read_once
    from tuner.bench.mislead import parse_drop

    paths = [None if s == "none" else user_path(s) for s in sources]
    tables = [user_path(t) for t in targets]
    wanted = [o for name in objectives for o in (("time", "energy") if name == "both" else (name,))]
    dropped = tuple(parse_drop(d) for d in drops)
    for path in filter(None, dict.fromkeys([*paths, *tables])):
        for notice in read_once(path).notices:
            say(f"Note: {path}: {notice}.", err=True)
    found = pairs(paths, tables, list(dict.fromkeys(wanted)), "both" in objectives)
    runs = itertools.product(found, strategies, learners, range(seeds))
    return [
        Case(
            source=source,
            target=target,
            objective=objective,
            strategy=strategy,
            learner=learner,
            seed=seed,
            misleading=mislead or "",
            drops=dropped,
        )
        for (source, target, objective), strategy, learner, seed in runs
    ]


def _run(
    work: Callable[..., list[dict[str, Any]]], calls: Sequence[tuple[Any, ...]], jobs: int | None, json_path: str | None
) -> list[dict[str, Any]]:
    from tuner.bench.parallel import run_all

    def progress(done: int, total: int) -> None:
        say_progress(f"{done} of {total} runs", done == total)

    if json_path is not None:
        _write(json_path, [])  # a path that cannot be written is an error before the work, not after
    results = run_all(work, calls, jobs or os.cpu_count() or 1, progress)
    rows = [row for rows in results for row in rows]
    if json_path is not None:
        _write(json_path, rows)
    return rows


def _write(json_path: str, rows: Sequence[dict[str, Any]]) -> None:
    from tuner.files import atomic_write

    text = "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in rows) + "\n]\n"
    atomic_write(user_path(json_path), text)
