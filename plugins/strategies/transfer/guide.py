"""A source's measurements, seen from a target's space: what `strategies.transfer.prior` builds on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import SourceData
from tuner.search.candidates import Candidates
from tuner.search.matching import match

from .effects import decompose
from .prior import LEAST_RELEVANCE, Guide
from .surface import SourceSurface

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Configurations of a space too large to enumerate over which a surface is centred and taken apart.
SAMPLED = 3_000
#: A source of which less can be predicted from its own other rows is noise, and left out.
LEAST_SIGNAL = 0.05


def make_guide(source: SourceData, metric: str, candidates: Candidates) -> Guide | None:
    """Return the guide of `source`, None where it shares nothing with the space, or is noise."""
    values = np.array(source.values[metric], dtype=float)
    positive = bool(np.all(values > 0))
    response = np.log(values) if positive else _standardised(values)
    surface = SourceSurface(match(source, candidates.space.options), response)
    if surface.signal < LEAST_SIGNAL:
        return None
    sample = _sample(candidates)
    mean, _ = surface.predict(sample)
    centre = float(mean.mean())
    mean = mean - centre

    def centred(indices: Indices) -> tuple[Floats, Floats]:
        at, deviation = surface.predict(indices)
        return at - centre, deviation

    effects = decompose(sample, mean, candidates.levels)
    size = effects.main(sample).std(axis=0)
    relevance = size / max(1e-12, float(np.sqrt((size**2).sum()))) + LEAST_RELEVANCE
    relevance = relevance / relevance.max()
    # Of a source that is mostly noise, the relevance of options is noise too.
    relevance = surface.signal * relevance + (1.0 - surface.signal)
    shares = decompose(sample, np.exp(mean), candidates.levels) if positive else None
    return Guide(source.name, centred, effects, shares, relevance, surface.signal)


def _sample(candidates: Candidates) -> Indices:
    if candidates.all is not None and len(candidates.all) <= SAMPLED:
        return candidates.all
    return candidates.draw(SAMPLED, np.random.default_rng(0))


def _standardised(values: Floats) -> Floats:
    """Return values that are no logarithms on about the scale of one (see `response`)."""
    return np.asarray((values - values.mean()) / (2.0 * (values.std() or 1.0)))


def response(values: Floats) -> tuple[Floats, Floats]:
    """Return the response of (n,) target values, and its derivative by the relative value.

    The logarithm where all are positive (or all negative: a maximised study with its sign turned), else the values
    at half of their standard deviation, which is the size that the prior expects of a log response.
    """
    if np.all(values > 0):
        return np.log(values), np.ones(len(values))
    if np.all(values < 0):
        return -np.log(-values), np.ones(len(values))
    scale = 2.0 * (float(values.std()) or 1.0)
    return (values - values.mean()) / scale, np.abs(values) / scale
