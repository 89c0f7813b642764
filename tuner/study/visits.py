"""What the confirmation of a session leaves in its study: one JSON value a measurement, in the study's attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

#: User attributes of the study that hold the visits: this and a number.
VISIT = "tuner_visit:"
Stage = Literal["choice", "statement"]


@dataclass(frozen=True, kw_only=True)
class VisitRecord:
    """One measurement of the confirmation.

    Attributes:
        after_trials: Trials that the study held; a confirmation of more trials begins again.
        stage: ``choice`` between incumbent and runners-up, ``statement`` of the saving.
        round: From 0, within the stage.
        trial: The trial whose configuration was measured again.
        values: Metric name -> value; empty where the measurement failed.
        samples: The objective's value in each repeat.
        measured_s: Time that warm-up and repeats took, by the device's clock.
        reason: Why it failed.
    """

    after_trials: int
    stage: Stage
    round: int
    trial: int
    values: Mapping[str, float] = field(default_factory=dict)
    samples: tuple[float, ...] = ()
    measured_s: float = 0.0
    reason: str = ""

    def to_json(self) -> str:
        """Return the record as text."""
        return json.dumps(asdict(self))


def read_visits(attributes: Mapping[str, object]) -> list[VisitRecord]:
    """Return the visits among a study's attributes, oldest first.

    Raises:
        ValueError, TypeError: one is damaged.
    """
    found = []
    for key in sorted((k for k in attributes if k.startswith(VISIT)), key=lambda k: int(k.removeprefix(VISIT))):
        data = json.loads(str(attributes[key]))
        if not isinstance(data, dict) or not isinstance(data.get("values"), dict):
            raise ValueError("it is no visit")
        found.append(VisitRecord(**{**data, "samples": tuple(data.get("samples", ()))}))
    return found
