"""What an environment taught, in one value: data, terms, models, and where it all comes from.

`tuner.sources.file` reads and writes it; `tuner.sources.learn` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.ports import SourceData
from tuner.sources.stepwise import StepwiseFit


@dataclass(frozen=True)
class Origin:
    """Where knowledge was learned.

    Attributes:
        kind: ``table`` or ``study``.
        name: The table's file name without its folder and suffix, or the study's name.
        board, workload, device: ``""`` where nobody said.
        emulated: Whether no real hardware stood behind the numbers; None where nobody said.
        facts: Further facts for people.
    """

    kind: str
    name: str
    board: str = ""
    workload: str = ""
    device: str = ""
    emulated: bool | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Knowledge:
    """What an environment taught.

    Attributes:
        origin: Where.
        created: When (ISO 8601).
        tuner_version: By which program.
        data: A thinned sample of the measurements, and the models (over `columns_of` its options, in that order).
        measured: How many configurations were measured; `data` has at most as many.
        terms: Metric name -> stepwise regression over the names of the columns.
        sha256: Of the canonical content; ``""`` where it was never written or read.
    """

    origin: Origin
    created: str
    tuner_version: str
    data: SourceData
    measured: int
    terms: Mapping[str, StepwiseFit]
    sha256: str = ""

    @property
    def models(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """Metric name -> learner -> document of a fitted performance model."""
        return self.data.models
