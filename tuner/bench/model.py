"""One performance model over a table: what was measured for it, and how well it predicts the rest."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from tuner import registry
from tuner.bench.cases import Case, TargetTable, context_of, target_table
from tuner.bench.strategies import strategy_named
from tuner.errors import SpaceExhaustedError, UsageError
from tuner.models import create
from tuner.ports import ModellingStrategy, StrategyContext, TargetModel
from tuner.space import Configuration

#: Appended to a strategy's name: its whole design, whatever the budget is ("gs-full").
FULL = "-full"
NO_BUDGET = 10**9
RANDOM = "random"


def parse_budget(text: str, rows: int) -> int:
    """Return how many configurations ``2.44%`` (of `rows`) or ``19`` are.

    Raises:
        UsageError: neither, or less than 2.
    """
    number = text.strip()
    try:
        count = round(float(number[:-1]) / 100.0 * rows) if number.endswith("%") else int(number)
    except (ValueError, OverflowError):
        count = 0
    if count < 2:
        raise UsageError(f"'{text}' is no budget of measurements.", "Write a share such as 2.44%, or a count above 1.")
    return min(count, rows)


class RandomDesign:
    """The baseline: as many random rows as the budget allows, and the learner fitted to them; no source."""

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return `count` distinct rows by the context's seed."""
        rows = context.space.rows or ()
        chosen = random.Random(context.seed).sample(range(len(rows)), min(count, len(rows)))
        return [context.space.from_indices(rows[i]) for i in chosen]

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return the learner, fitted."""
        from tuner.models.target import LearnedModel

        return LearnedModel(context.space.options, create(learner, context.seed), configurations, values)


def modeller(name: str) -> tuple[ModellingStrategy, bool]:
    """Return who makes the model, and whether it keeps to the budget.

    Raises:
        UnknownStrategyError, MissingDependencyError.
        UsageError: the strategy makes no performance model.
    """
    if name == RANDOM:
        return RandomDesign(), True
    known = registry.names("strategies")
    bounded = not (name.endswith(FULL) and name not in known and name[: -len(FULL)] in known)
    strategy = strategy_named(name if bounded else name[: -len(FULL)])
    if not isinstance(strategy, ModellingStrategy):
        raise UsageError(
            f"Strategy '{name}' makes no performance model.", "It can be benched with `tuner bench optimise`."
        )
    return strategy, bounded


def model_rows(case: Case, budget: str, on_all: bool = False) -> list[dict[str, Any]]:
    """Run `case` and return its one row: the mean absolute percentage error of the model's predictions.

    Args:
        case: What is run.
        budget: How many target configurations may be measured: a count, or a share of the rows.
        on_all: Score on all rows; by default on those that were not measured.
    """
    target = target_table(case.target, case.objective)
    maker, bounded = modeller(case.strategy)
    if hasattr(maker, "check"):
        maker.check(context_of(case, target, None))
    count = parse_budget(budget, len(target.values))
    context = context_of(case, target, count if bounded else None)
    designed = maker.design(context, count if bounded else NO_BUDGET, case.learner)
    measured = _positions(target, designed, count if bounded else len(target.values))
    values = [target.values[i] for i in measured]
    chosen = [target.table.configurations[i] for i in measured]
    model = maker.target_model(context, case.learner, chosen, values)
    held = set(measured)
    scored = [i for i in range(len(target.values)) if on_all or i not in held]
    if not scored:
        raise SpaceExhaustedError(
            f"Strategy '{case.strategy}' measured every row of {case.target.stem}.", "Lower --budget, or use --on all."
        )
    predicted = model.predict([target.table.configurations[i] for i in scored])
    return [{**case.row(len(measured)), "err_percent": _err(predicted, [target.values[i] for i in scored])}]


def _positions(target: TargetTable, designed: Sequence[Configuration], at_most: int) -> list[int]:
    """Return the distinct rows of a design.

    Raises:
        OptionValueError: the design holds what the table does not.
        UsageError: it is larger than the budget.
    """
    where = {row: i for i, row in enumerate(target.space.rows or ())}
    found = list(dict.fromkeys(where[target.space.indices(target.space.normalise(c))] for c in designed))
    if len(found) > at_most:  # none at all is right for a model that is the source's as it is
        raise UsageError(
            f"A design of {len(found)} configurations does not keep to the budget of {at_most}.",
            "That is the strategy's fault: its design returns at most what it is asked for.",
        )
    return found


def _err(predicted: Sequence[float], actual: Sequence[float]) -> float:
    """Return the mean absolute percentage error."""
    errors = [abs(p - a) / a for p, a in zip(predicted, actual, strict=True)]
    return 100.0 * sum(errors) / len(errors)
