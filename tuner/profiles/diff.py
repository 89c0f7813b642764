"""What differs between two profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.profiles.profile import Profile
from tuner.space import OptionValue

_FACTS = (
    "board",
    "device",
    "emulated",
    "study",
    "objective",
    "feasible",
    "constraints",
    "baseline_value",
    "saving_percent",
    "confirmed",
    "created",
    "tuner_version",
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference.

    Attributes:
        section: ``option``, ``metric``, ``environment``, ``baseline`` or ``profile``.
        name: Of what differs.
        left: The first profile's value, None where it has none.
        right: The second profile's.
        unit: Of both, ``""`` where there is none.
    """

    section: str
    name: str
    left: object
    right: object
    unit: str = ""

    @property
    def relative_percent(self) -> float | None:
        """Return 100 * (right / left - 1) of two numbers, else None."""
        a, b = self.left, self.right
        if isinstance(a, bool) or isinstance(b, bool):
            return None
        if not isinstance(a, (int, float)) or not isinstance(b, (int, float)) or a == 0:
            return None
        return 100.0 * (b / a - 1.0)


def diff_profiles(left: Profile, right: Profile) -> tuple[Change, ...]:
    """Return all differences: options first, then metrics, environment, baseline, the rest."""
    units = {n: o.unit for p in (right, left) for n, o in p.options.items()}
    metric_units = {n: m.unit for p in (right, left) for n, m in p.metrics.items()}
    return (
        *_changes("option", left.configuration(), right.configuration(), units),
        *_changes("metric", _metrics(left), _metrics(right), metric_units),
        *_changes("environment", left.environment, right.environment),
        *_changes("baseline", left.baseline, right.baseline, units),
        *_changes("profile", _facts(left), _facts(right)),
    )


def _metrics(profile: Profile) -> dict[str, float]:
    return {name: metric.value for name, metric in profile.metrics.items()}


def _facts(profile: Profile) -> dict[str, object]:
    return {name: getattr(profile, name) for name in _FACTS}


def _changes(
    section: str,
    left: Mapping[str, OptionValue] | Mapping[str, object],
    right: Mapping[str, OptionValue] | Mapping[str, object],
    units: Mapping[str, str] | None = None,
) -> tuple[Change, ...]:
    names = dict.fromkeys([*left, *right])
    return tuple(
        Change(section=section, name=name, left=left.get(name), right=right.get(name), unit=(units or {}).get(name, ""))
        for name in names
        if left.get(name) != right.get(name) or type(left.get(name)) is not type(right.get(name))
    )
