"""Guided sampling's design: the factorials that a source's stepwise regression calls for, and a choice of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from tuner.search.candidates import Candidates, free_mask, unique_rows
from tuner.sources.stepwise import StepwiseFit, Term, fit_stepwise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tuner.models.encoding import Encoder
    from tuner.search.matching import Matching

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Levels of one option in a factorial (evenly spaced where it has more), and points of a whole design.
MOST_LEVELS, MOST_POINTS = 12, 1_000
#: What an option without influence counts beside the most influential one, in a distance.
_LITTLE = 0.01


@dataclass(frozen=True)
class Terms:
    """A source's stepwise regression, with its columns' options.

    Attributes:
        fit: The regression: terms with coefficients and p-values.
        options: The target's option behind each column.
        shares: Of each term, of the variation that all terms explain (as if they were orthogonal).
    """

    fit: StepwiseFit
    options: dict[str, str]
    shares: tuple[float, ...]

    def options_of(self, term: Term) -> tuple[str, ...]:
        """Return the options of a term, each once."""
        return tuple(dict.fromkeys(self.options[name] for name in term.options))

    def influence(self) -> dict[str, float]:
        """Return option -> the sum of the |coefficients| of its terms."""
        total = dict.fromkeys(self.options.values(), 0.0)
        for term in self.fit.terms:
            for option in self.options_of(term):
                total[option] += abs(term.coefficient)
        return total

    def by_options(self) -> tuple[tuple[tuple[str, ...], float], ...]:
        """Return (options, share) with the shares of one set of options added, the largest first."""
        shares: dict[tuple[str, ...], float] = {}
        for term, share in zip(self.fit.terms, self.shares, strict=True):
            shares[self.options_of(term)] = shares.get(self.options_of(term), 0.0) + share
        return tuple(sorted(shares.items(), key=lambda item: -item[1]))


def source_terms(matching: Matching, values: Floats) -> Terms:
    """Return the stepwise regression on a source's (n,) values, through the target's options."""
    names = [c.name for c in matching.columns]
    groups = [c.option for c in matching.columns]
    fit = fit_stepwise(names, matching.design, values, groups=groups)
    variances = fit.columns(matching.design).var(axis=0)
    sizes = [float(t.coefficient**2 * v) for t, v in zip(fit.terms, variances, strict=True)]
    total = sum(sizes) or 1.0
    return Terms(fit, dict(zip(names, groups, strict=True)), tuple(s / total for s in sizes))


def factorial(terms: Terms, candidates: Candidates, base: Sequence[int], rng: np.random.Generator) -> Indices:
    """Return the whole design of a source: `base`, then for each term every combination of its options' levels.

    As in the study's code the other options stay where they are in `base` (its first row; here the predicted
    best), so that the design is a union of small factorials. Options that no term names take random levels, for
    their effect is unknown. Where a table lacks a point, its nearest row is taken.

    Returns:
        (n, options) distinct level indices, n <= MOST_POINTS, the most influential terms' first.
    """
    position = {o.name: i for i, o in enumerate(candidates.space.options)}
    parts = [np.asarray(base, dtype=np.int64)[None, :]]
    for term in terms.fit.terms:
        columns = [position[o] for o in terms.options_of(term)]
        levels = [_spread(int(candidates.levels[c])) for c in columns]
        rows = np.repeat(parts[0], int(np.prod([len(v) for v in levels])), axis=0)
        rows[:, columns] = list(product(*levels))
        if sum(map(len, parts)) + len(rows) > MOST_POINTS:
            break
        parts.append(rows)
    rows = np.vstack(parts)
    known = {position[o] for o in terms.options.values()}
    for column in sorted(set(range(rows.shape[1])) - known):
        rows[1:, column] = rng.integers(0, candidates.levels[column], size=len(rows) - 1)
    return existing(unique_rows(candidates.repaired(rows)), candidates, _weights(terms, position))


def _spread(count: int) -> list[int]:
    return sorted({round(v) for v in np.linspace(0, count - 1, min(count, MOST_LEVELS))})


def _weights(terms: Terms, position: dict[str, int]) -> Floats:
    weights = np.zeros(len(position))
    for option, influence in terms.influence().items():
        weights[position[option]] = influence
    return weights + _LITTLE * (weights.max() or 1.0)


def existing(rows: Indices, candidates: Candidates, weights: Floats) -> Indices:
    """Return `rows`, those that a table lacks replaced by its nearest row."""
    every = candidates.all
    if every is None or candidates.space.rows is None:
        return rows
    lacking = np.flatnonzero(free_mask(rows, every))
    fixed = rows.copy()
    for i in lacking:
        fixed[i] = every[int(np.argmin(candidates.distances(every, rows[i], weights)))]
    return unique_rows(fixed)


def spread_out(rows: Indices, count: int, terms: Terms, candidates: Candidates) -> Indices:
    """Return `count` of `rows`: the first, then always the one that is farthest from those chosen before.

    Options weigh by their influence, so that the first few differ in the levels of the most influential ones. The
    design for a smaller count is the beginning of that for a larger one.
    """
    position = {o.name: i for i, o in enumerate(candidates.space.options)}
    weights = _weights(terms, position)
    chosen = [0]
    nearest = candidates.distances(rows, rows[0], weights)
    while len(chosen) < min(count, len(rows)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, candidates.distances(rows, rows[chosen[-1]], weights))
        nearest[chosen] = -1.0
    return rows[chosen[:count]]


def predicted_best(terms: Terms, encoder: Encoder, candidates: Candidates, rng: np.random.Generator) -> Indices:
    """Return the (options,) configuration for which the regression predicts least; ties fall by `rng`."""

    def score(rows: Indices) -> Floats:
        return terms.fit.predict_response(encoder.encode(rows))

    pool = candidates.all
    if pool is None:
        drawn = candidates.draw(MOST_POINTS, rng)
        pool = candidates.descended(drawn, score)
    values = score(pool)
    least = np.flatnonzero(values <= values.min() + 1e-12)
    return np.asarray(pool[int(rng.choice(least))])
