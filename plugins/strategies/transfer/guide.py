"""A source's measurements in a target's space: what `strategies.transfer.prior` is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import SourceData
from tuner.search.candidates import Candidates
from tuner.search.matching import match

from .effects import decompose
from .prior import LEAST_RELEVANCE, Guide
from .response import Response
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
    response = Response(values)
    surface = SourceSurface(match(source, candidates.space.options), response.values)
    if surface.signal < LEAST_SIGNAL:
        return None
    sample = candidates.sample(SAMPLED, np.random.default_rng(0))
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
    return Guide(
        name=source.name,
        surface=centred,
        effects=effects,
        shares=decompose(sample, np.exp(mean), candidates.levels) if response.positive else None,
        relevance=relevance,
        signal=surface.signal,
    )
