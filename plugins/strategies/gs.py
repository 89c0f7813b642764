"""Guided sampling: a source's influential options and interactions say what to measure first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuner.errors import TableError, UsageError
from tuner.objective import find_metric
from tuner.ports import SourceData, StrategyContext
from tuner.space import Configuration

from ._optuna import startup_trials

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    from tuner.transfer.stepwise import StepwiseFit

#: Spaces up to this size are ranked whole, larger ones by a random sample of this many.
MOST_CANDIDATES = 20_000


class GuidedSamplingStrategy:
    """Seeds an Optuna study with what a stepwise regression on the source found; TPE goes on from there.

    The seeds alternate between the configurations that the source's model predicts to be best and a design
    that moves the influential terms' options through their levels, the others held at the predicted best.

    Reference: Iqbal, Kotthoff, Jamshidi, 'Transfer Learning for Performance Modeling of DNN Systems', OpML'19.
    """

    name = "gs"
    summary = "guided sampling from a source, the default with one"

    def check(self, context: StrategyContext) -> None:
        """Refuse to start without a usable source.

        Raises:
            UsageError: no source, or none of its options is an option here.
            TableError: the source lacks the objective.
        """
        if not context.sources:
            raise UsageError("Strategy 'gs' needs a source.", "Name one with --source TABLE or STUDY.")
        for source in context.sources:
            _knowledge(context, source)

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        """Return up to half of the budget (at most 20) of configurations of the target's space."""
        budget = context.budget_trials or 40
        count = max(1, min(20, (budget - 1) // 2))
        candidates, design = _candidates(context)
        chosen: list[int] = []
        for source in context.sources:
            fit, columns = _knowledge(context, source)
            chosen += _pick(fit, design[:, columns], count, set(chosen))
        return [candidates[i] for i in list(dict.fromkeys(chosen))[:count]]

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return TPE, which learns from the seeds and what follows."""
        from optuna.samplers import TPESampler

        return TPESampler(seed=context.seed, n_startup_trials=startup_trials(context), multivariate=True)


def _knowledge(context: StrategyContext, source: SourceData) -> tuple[StepwiseFit, list[int]]:
    """Return the source's fit and which of the target's options its columns are."""
    from tuner.transfer.encoding import match
    from tuner.transfer.stepwise import fit_stepwise

    metric = find_metric(context.objective.metric.quantity, source.metrics)
    if metric is None:
        raise TableError(
            f"Source '{source.name}' holds no {context.objective.metric.quantity}.",
            "Name a source that measured the objective.",
        )
    options = context.space.options
    matched = match(source, metric.name, options)
    if not matched.options:
        raise UsageError(
            f"Source '{source.name}' shares no option with this space.",
            f"It has {', '.join(o.name for o in source.options[:8])}.",
        )
    fit = fit_stepwise([o.name for o in matched.options], matched.design, matched.values)
    return fit, [options.index(o) for o in matched.options]


def _candidates(context: StrategyContext) -> tuple[list[Configuration], NDArray[np.float64]]:
    import numpy as np

    from tuner.transfer.encoding import encode

    space = context.space
    if space.size <= MOST_CANDIDATES or space.rows is not None:
        found: list[Configuration] = list(space.configurations())
    else:
        rng = np.random.default_rng(context.seed)
        levels = [len(o.values) for o in space.options]
        draws = rng.integers(0, levels, size=(MOST_CANDIDATES, len(levels)))
        unique = {tuple(sorted(c.items())): c for c in map(space.from_indices, draws)}
        found = list(unique.values())
    return found, encode(space.options, found)


def _pick(fit: StepwiseFit, design: NDArray[np.float64], count: int, taken: set[int]) -> list[int]:
    """Alternate the predicted best with candidates that differ from it in influential options."""
    import numpy as np

    order = np.argsort(fit.predict_log(design), kind="stable")
    best = design[order[0]]
    weight = np.array([_influence(fit, name) for name in fit.names])
    top = [int(i) for i in order if int(i) not in taken]
    chosen = top[:1]
    spread = np.sqrt((((design - design[chosen[0]]) * weight) ** 2).sum(axis=1)) if chosen else None
    near_best = -np.abs(fit.predict_log(design) - fit.predict_log(best[None, :])[0])
    while spread is not None and len(chosen) < min(count, len(top)):
        if len(chosen) % 2:
            following = next(i for i in top if i not in chosen)
        else:
            score = np.where(
                np.isin(np.arange(len(design)), chosen + list(taken)), -np.inf, spread + 0.5 * near_best
            )
            following = int(np.argmax(score))
        chosen.append(following)
        spread = np.minimum(spread, np.sqrt((((design - design[following]) * weight) ** 2).sum(axis=1)))
    return chosen


def _influence(fit: StepwiseFit, name: str) -> float:
    return sum(abs(t.coefficient) for t in fit.terms if name in t.options)
