"""`--budget 2.44%|40|30m`: a share of the space, a number of trials, or time."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tuner.errors import UsageError
from tuner.units import parse_duration_s


@dataclass(frozen=True)
class Budget:
    """When a session ends. Exactly one of the two is set. Trials count baseline and stock modes."""

    text: str
    trials: int | None = None
    duration_s: float | None = None


def parse_budget(text: str, space_size: int) -> Budget:
    """Return the budget that `text` states for a space of `space_size` configurations.

    Raises:
        UsageError: not of one of the three forms, or not positive.
    """
    stripped = text.strip()
    share = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*%", stripped)
    if share and 0 < float(share[1]) <= 100:
        # Exactly representable shares must not gain a trial by rounding error, hence the 1e-9.
        return Budget(stripped, trials=max(1, math.ceil(space_size * float(share[1]) / 100 - 1e-9)))
    if re.fullmatch(r"\d{1,18}", stripped) and int(stripped) > 0:
        return Budget(stripped, trials=int(stripped))
    if re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(s|m|min|h|d)", stripped):
        return Budget(stripped, duration_s=parse_duration_s(stripped))
    raise UsageError(f"'{text}' is not a budget.", "Write a share of the space (2.44%), trials (40) or time (30m, 2h).")
