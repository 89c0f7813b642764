"""What was learned of an environment: measurements, terms, models and their origin.

`tuner.sources.learn` makes it; `tuner.sources.file` writes and reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tuner.ports import SourceData
from tuner.sources.stepwise import StepwiseFit


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where measurements come from.

    Attributes:
        kind: ``table`` or ``study``.
        name: The table's file name without its folder and suffix, or the study's name.
        board, workload, device: ``""`` where not stated.
        emulated: Whether the numbers are an emulation's, not real hardware's; None where not stated.
        facts: Further facts for people.
    """

    kind: str
    name: str
    board: str = ""
    workload: str = ""
    device: str = ""
    emulated: bool | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What was learned of an environment.

    Attributes:
        origin: Where.
        created: When (ISO 8601).
        tuner_version: By which program.
        data: A thinned sample of the measurements, and the models (over `columns_of` its options, in that order).
        measured: How many configurations were measured; `data` has at most as many.
        terms: Metric name -> stepwise regression over the names of the columns.
        sha256: Of the file's content; ``""`` where it was not read from a file.
    """

    origin: Origin
    created: str
    tuner_version: str
    data: SourceData
    measured: int
    terms: Mapping[str, StepwiseFit]
    sha256: str = ""
