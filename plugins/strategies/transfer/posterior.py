"""The mixture of `strategies.transfer.prior` after measurements: members weighed by their marginal likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .prior import Features, Member, Prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Measurements by which members are preselected, how many members then go on, and how many predict at most.
EVIDENCE_ROWS, GO_ON = 40, 6
MOST_MEMBERS = 8
#: Measurements from which on members are fitted to them, unless those with a source lead by this log evidence.
ADAPTED_FROM, SETTLED = 4, 25.0
#: Predictions are made by the members of the greatest weight that together have this share of it; by fewer where the
#: measurements are many: then one member has most of the weight.
HELD_TOGETHER, FEW_MEMBERS = 0.99, 5
#: Standard deviation of a log response that the members are made for.
MOST_SPREAD = 0.7


@dataclass(frozen=True)
class Prediction:
    """Of each member at n configurations, on the scale of the response.

    Attributes:
        means: (members, n).
        deviations: (members, n) standard deviations of the true response (no measurement noise).
        weights: (members,) they add up to 1.
    """

    means: Floats
    deviations: Floats
    weights: Floats

    @property
    def mean(self) -> Floats:
        """(n,) mean of the mixture."""
        return np.asarray(self.weights @ self.means)

    @property
    def deviation(self) -> Floats:
        """(n,) standard deviation of the mixture."""
        second = self.weights @ (self.deviations**2 + self.means**2)
        return np.asarray(np.sqrt(np.maximum(second - self.mean**2, 0.0)))


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    member: Member
    evidence: float
    covariance: Floats
    alpha: Floats
    weight: float = 0.0

    @cached_property
    def inverse(self) -> Floats:
        """The inverse of the covariance of the measurements."""
        return np.asarray(np.linalg.inv(self.covariance), dtype=float)


class Posterior:
    """The prior, conditioned.

    Args:
        prior: What was believed before.
        observed: Features of the n measured configurations; n >= 1.
        response: (n,) log values.
        errors: (n,) known standard errors of the log values, nan where unknown.
    """

    def __init__(self, prior: Prior, observed: Features, response: Floats, errors: Floats | None = None) -> None:
        self._prior, self._observed = prior, observed
        self._base = float(response.mean())
        # A response that varies more than any member expects (times from 1 s to 1,000 s) stretches the free members.
        self._stretch = max(1.0, float(response.std()) / MOST_SPREAD) ** 2
        known = np.zeros(len(response)) if errors is None else np.nan_to_num(errors, nan=0.0)
        rows = np.arange(len(response))
        if len(response) > EVIDENCE_ROWS:
            rows = np.sort(np.random.default_rng(0).permutation(len(response))[:EVIDENCE_ROWS])
        self.fitted = self._compared(observed.take(rows), response[rows], known[rows])
        if len(response) > EVIDENCE_ROWS:
            members = [f.member for f in sorted(self.fitted, key=lambda f: -f.weight)[:GO_ON]]
            self.fitted = self._fit(members, observed, response, known)
        most = MOST_MEMBERS if len(response) <= EVIDENCE_ROWS else FEW_MEMBERS
        kept = _heaviest(self.fitted, most)
        total = sum(f.weight for f in kept)
        self._kept = [replace(f, weight=f.weight / total) for f in kept]

    def _compared(self, observed: Features, response: Floats, errors: Floats) -> list[_Fitted]:
        """Return the prior's members, and beside them those whose relevances are fitted."""
        fitted = self._fit(list(self._prior.members), observed, response, errors)
        if len(response) < ADAPTED_FROM or _settled(fitted):
            return fitted
        # Many measurements determine the noise well: one search is enough.
        likely = max((f for f in fitted if f.member.guide < 0), key=lambda f: f.weight).member.noise
        noise = likely if len(response) >= EVIDENCE_ROWS else None
        adapted = self._prior.adapted(observed, response - self._base, errors, noise)
        return _weighed(fitted + self._fit(adapted, observed, response, errors))

    def _fit(self, members: list[Member], observed: Features, response: Floats, errors: Floats) -> list[_Fitted]:
        n = len(response)
        parts = self._prior.covariances(observed, observed, members)
        stack = np.empty((len(members), n, n))
        z = np.repeat((response - self._base)[None], len(members), axis=0)
        diagonal = np.arange(n)
        for i, member in enumerate(members):
            stack[i] = self._stretched(member) * self._prior.covariance(observed, observed, member, parts)
            stack[i, diagonal, diagonal] += np.maximum(member.noise, errors) ** 2
            if member.guide >= 0:
                z[i] -= observed.means[member.guide]
        factors = np.linalg.cholesky(stack)
        alphas = np.linalg.solve(stack, z[..., None])[..., 0]
        logs = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        evidence = -0.5 * (z * alphas).sum(axis=1) - logs + np.log([m.weight for m in members])
        found = zip(members, evidence, stack, alphas, strict=True)
        return _weighed([_Fitted(member=m, evidence=e, covariance=c, alpha=a) for m, e, c, a in found])

    def _stretched(self, member: Member) -> float:
        return self._stretch if member.guide < 0 and member.shape is None else 1.0

    def guide_weights(self) -> Floats:
        """Return (guides,) posterior probability of each source; what is left is that of none."""
        result = np.zeros(len(self._prior.guides))
        for f in self.fitted:
            if f.member.guide >= 0:
                result[f.member.guide] += f.weight
        return result

    def predict(self, at: Features) -> Prediction:
        """Return each member's prediction at `at`."""
        parts = self._prior.covariances(at, self._observed, [f.member for f in self._kept])
        means, deviations = [], []
        for f in self._kept:
            mean, cross = self._mean(at, f, parts)
            known = np.einsum("ij,ij->i", cross @ f.inverse, cross)
            variance = self._stretched(f.member) * self._prior.variances(at, f.member) - known
            means.append(mean)
            deviations.append(np.sqrt(np.maximum(variance, 1e-10)))
        return Prediction(np.array(means), np.array(deviations), np.array([f.weight for f in self._kept]))

    def _mean(self, at: Features, fitted: _Fitted, parts: Mapping[tuple[int, str], Floats]) -> tuple[Floats, Floats]:
        """Return one member's (n,) mean at `at`, and the (n, measured) covariance."""
        member = fitted.member
        cross = self._stretched(member) * self._prior.covariance(at, self._observed, member, parts)
        mean = self._base + cross @ fitted.alpha
        return (mean + at.means[member.guide] if member.guide >= 0 else mean), cross

    def sample(self, at: Features, count: int, rng: np.random.Generator, members: int = 6) -> Floats:
        """Return (about count, n) joint draws of the response at `at`, from the members of the greatest weight."""
        chosen = self._kept[:members]
        parts = self._prior.covariances(at, self._observed, [f.member for f in chosen])
        among = self._prior.covariances(at, at, [f.member for f in chosen])
        total = sum(f.weight for f in chosen)
        draws = []
        for f in chosen:
            mean, cross = self._mean(at, f, parts)
            covariance = self._stretched(f.member) * self._prior.covariance(at, at, f.member, among)
            covariance -= cross @ f.inverse @ cross.T
            number = max(1, round(count * f.weight / total))
            covariance[np.diag_indices(len(mean))] += 1e-9
            values, vectors = np.linalg.eigh(covariance)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            draws.append(mean + rng.standard_normal((number, len(mean))) @ root.T)
        return np.vstack(draws)


def _weighed(fitted: list[_Fitted]) -> list[_Fitted]:
    evidence = np.array([f.evidence for f in fitted])
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    return [replace(f, weight=float(w)) for f, w in zip(fitted, weights, strict=True)]


def _settled(fitted: list[_Fitted]) -> bool:
    """Return whether a source explains so much more than nothing that no fit without it could catch up."""
    guided = [f.evidence for f in fitted if f.member.guide >= 0]
    return bool(guided) and max(guided) > SETTLED + max(f.evidence for f in fitted if f.member.guide < 0)


def _heaviest(fitted: list[_Fitted], most: int) -> list[_Fitted]:
    kept: list[_Fitted] = []
    for f in sorted(fitted, key=lambda f: -f.weight)[:most]:
        kept.append(f)
        if sum(k.weight for k in kept) >= HELD_TOGETHER:
            break
    return kept
