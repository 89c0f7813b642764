"""The prior of a target's response: a mixture of Gaussian processes, most of them around a source.

Each *member* of the mixture is one guess of how far the target departs from a source. Its mean is the source's
surface s (log response); its covariance is a sum of *parts*:

- ``scale``: s·s', the source's response stretched;
- ``mains``, ``pairs``, ``rest``: each effect of the source, re-weighted on its own;
- ``shares``, ``pair_shares``: the same for effects of the response itself (not its log), divided by it. A time is a
  sum of parts (on the CPU, on the GPU); where a part grows by a factor, its logarithm moves by the part's share;
- ``first``, ``second``, ``third``: any function of one, two, three options, scaled by the source's relevance;
- ``unseen``: where the source did not measure;
- ``linear``, and the orders at a short and a long scale: any function, independent of the source.

Members without the source have a mean of zero and free parts only. Together they hold a fixed share of the prior
weight: the guard against a source that misleads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from tuner.search.coordinates import Axis

from .effects import Effects
from .kernels import LevelKernels, Orders
from .relevance import LEAST_NOISE, RelevanceKernel, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Share of the prior weight that members without any source hold.
WITHOUT_SOURCE = 0.3
#: Weight of members whose relevances are fitted, against that of the fixed ones without a source.
ADAPTED_ODDS = 0.4
#: Length scale that designs are made for where there is no source: shorter than expected, to be on the safe side.
DESIGN_LENGTH = 0.35
SHORT, LONG = 0.35, 1.2
#: Standard deviations of a measurement's log, and how likely each is beforehand.
NOISES = ((0.025, 1.0), (0.05, 0.5), (0.12, 0.05))
#: Options that matter nothing in the source still may matter a little in the target.
LEAST_RELEVANCE = 0.03


@dataclass(frozen=True, kw_only=True)
class Guide:
    """A source as seen from the target.

    Attributes:
        name: The source's.
        surface: (n, options) level indices -> (mean, standard deviation), each (n,), of the log response,
            centred over the space.
        effects: Of the mean over the space.
        shares: Effects of exp(mean); None where the response is no logarithm.
        relevance: (options,) size of each option's main effect, the largest being 1.
        signal: How much of the source's variation is no noise, in [0, 1].
    """

    name: str
    surface: Callable[[Indices], tuple[Floats, Floats]]
    effects: Effects
    shares: Effects | None
    relevance: Floats
    signal: float


@dataclass(frozen=True, kw_only=True)
class Member:
    """One guess.

    Attributes:
        guide: Position of the source, -1 for none.
        variances: Part -> variance.
        noise: Standard deviation of a measurement's log.
        weight: Prior probability.
        shape: Where given, the covariance is that of `strategies.transfer.relevance` instead.
    """

    guide: int
    variances: Mapping[str, float]
    noise: float
    weight: float
    shape: Shape | None = None


@dataclass(frozen=True)
class Features:
    """Everything that the parts need of some configurations.

    Attributes:
        indices: (n, options) level indices.
        means: (guides, n) surfaces.
        parts: (guide, part) -> (n, features): parts whose covariance is an inner product.
    """

    indices: Indices
    means: Floats
    parts: Mapping[tuple[int, str], Floats] = field(default_factory=dict)

    def take(self, rows: Indices) -> Features:
        """Return the features of some rows."""
        parts = {k: v[rows] for k, v in self.parts.items()}
        return Features(self.indices[rows], self.means[:, rows], parts)


class Prior:
    """The mixture over a space.

    Args:
        axes: The space's options.
        guides: The sources, may be none.
    """

    def __init__(self, axes: Sequence[Axis], guides: Sequence[Guide] = ()) -> None:
        self._short, self._long = LevelKernels(axes, SHORT), LevelKernels(axes, LONG)
        self.guides = tuple(guides)
        self._even = np.ones(len(axes))
        # An inactive option (index -1) and a categorical one have no direction.
        self._lines = [np.append(np.zeros(len(a.levels)) if a.categorical else 2.0 * a.levels - 1.0, 0.0) for a in axes]
        self.members = tuple(_members(self.guides))
        self._relevance = RelevanceKernel(axes)

    def features(self, indices: Indices) -> Features:
        """Return the features of (n, options) level indices."""
        means = np.zeros((len(self.guides), len(indices)))
        lines = [line[indices[:, i]] for i, line in enumerate(self._lines)]
        parts: dict[tuple[int, str], Floats] = {(-1, "linear"): np.stack(lines, axis=1)}
        for g, guide in enumerate(self.guides):
            mean, deviation = guide.surface(indices)
            means[g] = mean
            parts[g, "scale"] = mean[:, None]
            parts[g, "mains"] = guide.effects.main(indices)
            parts[g, "pairs"] = guide.effects.pair(indices)
            parts[g, "rest"] = guide.effects.rest(indices, mean)[:, None]
            parts[g, "unseen"] = deviation[:, None]
            if guide.shares is not None:
                whole = np.exp(mean)[:, None]
                parts[g, "shares"] = guide.shares.main(indices) / whole
                parts[g, "pair_shares"] = guide.shares.pair(indices) / whole
        return Features(indices, means, parts)

    def covariances(self, a: Features, b: Features, wanted: Sequence[Member]) -> Mapping[tuple[int, str], Floats]:
        """Return the (n, m) covariance of each part, at variance 1, that the members `wanted` use."""
        names = {(m.guide, part) for m in wanted for part in m.variances}
        result: dict[tuple[int, str], Floats] = {}
        for g in sorted({guide for guide, _ in names}):
            result.update(self._kernel_parts(a, b, g, {part for guide, part in names if guide == g}))
            for part in sorted(part for guide, part in names if guide == g):
                if (g, part) in a.parts and part != "unseen":
                    result[g, part] = a.parts[g, part] @ b.parts[g, part].T
        return result

    def _kernel_parts(self, a: Features, b: Features, g: int, names: set[str]) -> dict[tuple[int, str], Floats]:
        result: dict[tuple[int, str], Floats] = {(g, "constant"): np.ones((len(a.indices), len(b.indices)))}
        if g >= 0:
            orders = self._short.between(a.indices, b.indices, self.guides[g].relevance)
            result.update(_named(g, "", orders))
            if "unseen" in names:
                deviation = a.parts[g, "unseen"] * b.parts[g, "unseen"].T
                result[g, "unseen"] = deviation * self._long.first(a.indices, b.indices)
            return result
        for scale, kernels in (("short", self._short), ("long", self._long)):
            if any(n.endswith(scale) for n in names):
                result.update(_named(g, f"_{scale}", kernels.between(a.indices, b.indices, self._even)))
        return result

    def covariance(self, a: Features, b: Features, member: Member, parts: Mapping[tuple[int, str], Floats]) -> Floats:
        """Return the (n, m) covariance of `member`, of whose parts `covariances` gave `parts`."""
        if member.shape is not None:
            return self._relevance.between(a.indices, b.indices, member.shape)
        return combined(parts, member)

    def adapted(self, a: Features, response: Floats, errors: Floats, noise: float | None = None) -> list[Member]:
        """Return members without a source whose relevances are fitted to the (n,) centred `response`.

        Args:
            a: What was measured.
            response: Its values.
            errors: (n,) known standard errors, 0 where unknown.
            noise: About the standard deviation of a measurement; None to search from small and large ones.
        """
        even = sum(m.weight for m in self.members if m.guide < 0)
        starts = self._relevance.starts(float(response.std()))
        if noise is not None:
            starts = (min(starts, key=lambda s: abs(math.log(s.noise / noise))),)
        each = even * ADAPTED_ODDS / len(starts)
        result = []
        for start in starts:
            shape, log_mass = self._relevance.fitted(a.indices, response, errors, start)
            least = LEAST_NOISE * math.sqrt(self._relevance.variance(shape))
            weight = each * math.exp(max(log_mass, -500.0))
            noise_std = math.hypot(shape.noise, least)
            result.append(Member(guide=-1, variances={}, noise=noise_std, weight=weight, shape=shape))
        return result

    def typical(self, a: Features) -> tuple[Floats, float]:
        """Return the (n, n) covariance that is expected, and the variance of the noise: of what designs are made.

        Of the members with sources where there are any: those without would ask for what is known from the sources.
        """
        guided = [m for m in self.members if m.guide >= 0]
        if not guided:
            shape = self._relevance.starts(0.0)[0]
            shape = replace(shape, lengths=np.full(len(shape.lengths), DESIGN_LENGTH))
            return self._relevance.between(a.indices, a.indices, shape), shape.noise**2
        total, mean = sum(m.weight for m in guided), dict[tuple[int, str], float]()
        for member in guided:
            for part, variance in member.variances.items():
                key = (member.guide, part)
                mean[key] = mean.get(key, 0.0) + variance * member.weight / total
        parts = self.covariances(a, a, guided)
        covariance = sum((variance * parts[key] for key, variance in mean.items()), np.zeros(()))
        return np.asarray(covariance), sum(m.weight * m.noise**2 for m in guided) / total

    def variances(self, a: Features, member: Member) -> Floats:
        """Return the (n,) prior variance of `member` at `a`."""
        if member.shape is not None:
            return np.full(len(a.indices), self._relevance.variance(member.shape))
        g, total = member.guide, np.zeros(len(a.indices))
        weights = self._even if g < 0 else self.guides[g].relevance
        own = _named(g, "", self._short.diagonal(a.indices, weights))
        for part, variance in member.variances.items():
            if part == "constant":
                total += variance
            elif part == "unseen":
                total += variance * a.parts[g, part][:, 0] ** 2
            elif (g, part) in a.parts:
                total += variance * (a.parts[g, part] ** 2).sum(axis=1)
            else:
                total += variance * own[g, part.removesuffix("_short").removesuffix("_long")]
        return total


def _named(g: int, suffix: str, orders: Orders) -> dict[tuple[int, str], Floats]:
    return {
        (g, f"first{suffix}"): orders.first,
        (g, f"second{suffix}"): orders.second,
        (g, f"third{suffix}"): orders.third,
        (g, f"full{suffix}"): orders.full,
    }


def combined(parts: Mapping[tuple[int, str], Floats], member: Member) -> Floats:
    """Return a member's covariance from the covariances of its parts."""
    total: Floats | None = None
    for name, variance in member.variances.items():
        if variance > 0:
            term = variance * parts[member.guide, name]
            total = term if total is None else np.add(total, term, out=total)
    assert total is not None  # every member has a constant
    return total


def _members(guides: Sequence[Guide]) -> list[Member]:
    free = _free_members()
    if not guides:
        return free
    # A source that is mostly noise has little weight from the start.
    shares = [(1.0 - WITHOUT_SOURCE) * max(g.signal, 0.02) / len(guides) for g in guides]
    result = [
        replace(m, guide=g, weight=m.weight * shares[g])
        for g, guide in enumerate(guides)
        for m in _guided_members(guide)
    ]
    left = 1.0 - sum(shares)
    return result + [replace(m, weight=m.weight * left) for m in free]


def _guided_members(guide: Guide) -> list[Member]:
    """Return the grid of departures from a source, in standard deviations of the log response."""
    grid = list(product((0.1, 0.4), (0.05, 0.5), (0.1, 0.5), (0.04, 0.1, 0.2), NOISES))
    total = sum(weight for *_, (_, weight) in grid)
    members = []
    for scale, share, interaction, departure, (noise, weight) in grid:
        deviations = {
            "constant": 1.0,
            "scale": scale,
            "mains": scale,
            "pairs": interaction,
            "rest": 1.5 * interaction,
            "first": 0.3 * departure,
            "second": 0.5 * departure,
            "third": departure,
            "full": 0.01,
            "unseen": 1.0,
        }
        if guide.shares is not None:
            deviations |= {"shares": share, "pair_shares": 0.8 * share}
        variances = {k: v * v for k, v in deviations.items()}
        members.append(Member(guide=0, variances=variances, noise=noise, weight=weight / total))
    return members


def _free_members() -> list[Member]:
    grid = list(product((0.0, 0.25), (0.1, 0.25, 0.6), (0.05, 0.25), (0.02, 0.045, 0.12), ("short", "long")))
    return [
        Member(
            guide=-1,
            variances={
                "constant": 1.0,
                "linear": line**2,
                f"first_{scale}": main**2,
                f"second_{scale}": (0.2 * main) ** 2,
                "full_long": full**2,
            },
            noise=noise,
            weight=1.0 / len(grid),
        )
        for line, main, full, noise, scale in grid
    ]
