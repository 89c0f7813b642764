"""The environment: what stays the same while a study changes the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Board, workload and what else defines where numbers were measured.

    Attributes:
        device: The device specification that was asked for (``emulated:jetson-tx2``).
        board: The board's name, as in `profiles/boards/`; `host` devices give their machine's.
        workload: The workload's specification or name.
        emulated: True where the numbers do not come from real hardware.
        facts: Further facts for people (kernel, L4T release, model hash); not compared on resume.
    """

    device: str
    board: str
    workload: str
    emulated: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> dict[str, str]:
        """Return what two sessions of one study must share."""
        return {"device": self.device, "board": self.board, "workload": self.workload}
