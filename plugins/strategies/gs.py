"""Guided sampling: a source's influential options and interactions say what to measure first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product, zip_longest
from typing import TYPE_CHECKING

from tuner.errors import TableError, UsageError
from tuner.objective import find_metric
from tuner.ports import SourceData, StrategyContext
from tuner.space import Configuration, ConfigurationSpace, configuration_key

from ._optuna import startup_trials

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    from tuner.transfer.encoding import Matched
    from tuner.transfer.stepwise import StepwiseFit

#: Spaces up to this size are ranked whole, larger ones by a random sample of this many and a descent from it.
MOST_CANDIDATES = 20_000
MOST_SEEDS = 20
#: Without a number of trials, as many seeds as for this many.
ASSUMED_TRIALS = 40


class GuidedSamplingStrategy:
    """Seeds an Optuna study with what a source knows; TPE goes on from there.

    The seeds take turns between the configurations that a stepwise regression on the source predicts to be
    best, those that the source measured to be best, and a design that moves the options of the most influential
    terms through their levels, the others held at the predicted best.

    Reference: Iqbal, Kotthoff, Jamshidi, 'Transfer Learning for Performance Modeling of Deep Neural Network
    Systems', OpML'19.
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
            _match(context, source)

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        """Return up to half of the budget (at most 20) of distinct configurations of the target's space."""
        budget = context.budget_trials or ASSUMED_TRIALS
        count = max(1, min(MOST_SEEDS, (budget - 1) // 2))
        proposals = [_proposals(context, _match(context, source)) for source in context.sources]
        chosen: dict[tuple[object, ...], Configuration] = {}
        for turn in zip_longest(*proposals):
            for configuration in turn:
                if len(chosen) < count and configuration is not None:
                    chosen.setdefault(configuration_key(configuration), configuration)
            if len(chosen) >= count:
                break
        return list(chosen.values())

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return TPE, which learns from the seeds and what follows; it honours constraints by itself."""
        import warnings

        from optuna.exceptions import ExperimentalWarning
        from optuna.samplers import TPESampler

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of `multivariate`
            return TPESampler(seed=context.seed, n_startup_trials=startup_trials(context), multivariate=True)


def _match(context: StrategyContext, source: SourceData) -> Matched:
    from tuner.transfer.encoding import match

    metric = find_metric(context.objective.metric.quantity, source.metrics)
    if metric is None:
        raise TableError(
            f"Source '{source.name}' holds no {context.objective.metric.quantity}.",
            "Name a source that measured the objective.",
        )
    matched = match(source, metric.name, context.space.options)
    if not matched.options:
        raise UsageError(
            f"Source '{source.name}' shares no option with this space.",
            f"It has {', '.join(o.name for o in source.options[:8])}; "
            f"here are {', '.join(o.name for o in context.space.options[:8])}.",
        )
    return matched


@dataclass(frozen=True)
class _Candidates:
    """Configurations of the target that differ in what the source knows, the predicted best first.

    Of configurations that differ only in options unknown to the source, one stands for all, picked by the seed.
    """

    configurations: Sequence[Configuration]
    design: NDArray[np.float64]


def _proposals(context: StrategyContext, matched: Matched) -> Iterator[Configuration]:
    """Yield configurations in the order in which they should be measured, each once."""
    import numpy as np

    from tuner.transfer.stepwise import fit_stepwise

    names, groups = [c.name for c in matched.columns], [c.option for c in matched.columns]
    fit = fit_stepwise(names, matched.design, matched.values, groups=groups)
    rng = np.random.default_rng(context.seed)
    candidates = _ranked(_candidates(context.space, matched, fit, rng), matched, fit, rng)
    weight = np.array([fit.influence(n) for n in names])
    weight = weight + 0.01 * (weight.max() or 1.0)  # options without influence still count a little
    taken = np.zeros(len(candidates.configurations), dtype=bool)

    def nearest(point: NDArray[np.float64]) -> int:
        return int(np.argmin(np.abs(candidates.design - point) @ weight))

    predicted = iter(range(len(taken)))
    measured = (nearest(matched.design[i]) for i in np.argsort(matched.values, kind="stable"))
    designed = (nearest(point) for point in _design(fit, groups, candidates.design[0]))
    turns = [predicted, measured, predicted, measured, designed]
    while not taken.all():
        for turn in turns:
            following = next((i for i in turn if not taken[i]), None)
            if following is not None:
                taken[following] = True
                yield candidates.configurations[following]


def _design(
    fit: StepwiseFit, groups: Sequence[str], best: NDArray[np.float64]
) -> Iterator[NDArray[np.float64]]:
    """Yield points that move each term's columns through their levels, most influential first, from `best`."""
    position = {name: i for i, name in enumerate(fit.names)}
    for term in fit.terms:
        columns = [position[name] for name in term.options]
        dummies = [groups[i] != fit.names[i] for i in columns]
        levels = [(1.0, 0.0) if dummy else (1.0, -1.0, 0.0) for dummy in dummies]
        for values in product(*levels):
            point = best.copy()
            for i, dummy, value in zip(columns, dummies, values, strict=True):
                if dummy:  # one level of an option excludes its others
                    point[[j for j, g in enumerate(groups) if g == groups[i]]] = 0.0
                point[i] = value
            yield point


def _candidates(
    space: ConfigurationSpace, matched: Matched, fit: StepwiseFit, rng: np.random.Generator
) -> list[Configuration]:
    """Return all configurations of a small space or a table, else a sample and a descent from its best."""
    import numpy as np

    if space.rows is not None or space.size <= MOST_CANDIDATES:
        return list(space.configurations())
    levels = [len(o.values) for o in space.options]
    draws = rng.integers(0, levels, size=(MOST_CANDIDATES, len(levels)))
    found: list[Configuration] = [space.from_indices(d) for d in draws]
    response = fit.predict_response(matched.encode(found))
    best, least = draws[int(np.argmin(response))], float(response.min())
    moved = [i for i, o in enumerate(space.options) if o in matched.options]
    while True:  # each round lowers the prediction, of which there are finitely many
        steps = np.array([[*best[:i], v, *best[i + 1 :]] for i in moved for v in range(levels[i])])
        near: list[Configuration] = [space.from_indices(s) for s in steps]
        found += near
        response = fit.predict_response(matched.encode(near))
        if float(response.min()) >= least:
            break
        best, least = steps[int(np.argmin(response))], float(response.min())
    return list({configuration_key(c): c for c in found}.values())


def _ranked(
    found: Sequence[Configuration], matched: Matched, fit: StepwiseFit, rng: np.random.Generator
) -> _Candidates:
    import numpy as np

    shuffled = [found[i] for i in rng.permutation(len(found))]
    design = matched.encode(shuffled)
    _, first = np.unique(design, axis=0, return_index=True)
    first = np.sort(first)  # in shuffled order, so that ties of the prediction fall by the seed
    order = first[np.argsort(fit.predict_response(design[first]), kind="stable")]
    return _Candidates([shuffled[i] for i in order], design[order])
