"""`--stop-when 'gain<1%'`: end a session when the strategy believes that little is left to gain."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuner.errors import UsageError
from tuner.ports import Belief

#: A belief after fewer trials than this is the prior's, not the measurements'.
LEAST_TRIALS = 3
_PERCENT = r"(\d+\.?\d*|\.\d+)\s*%"
_GAIN = re.compile(rf"gain\s*(?:<=?|≤)\s*{_PERCENT}")
_WITHIN = re.compile(rf"within\s*{_PERCENT}\s*(?:>=?|≥)\s*{_PERCENT}")


@dataclass(frozen=True)
class StopWhen:
    """When enough is known.

    Attributes:
        text: As the user wrote it.
        gain_percent: Stop when the expected gain is below this; None for the other form.
        within_percent: Stop when the best is within this of the optimum ...
        probability: ... with this probability.
    """

    text: str
    gain_percent: float | None = None
    within_percent: float | None = None
    probability: float = 1.0

    def met(self, belief: Belief | None, trials: int) -> bool:
        """Return whether `belief`, after `trials` trials with a value, says that enough is known."""
        if belief is None or trials < LEAST_TRIALS:
            return False
        if self.gain_percent is not None:
            gain = belief.expected_gain_percent
            return gain is not None and gain < self.gain_percent
        # A probability for a wider margin says nothing of a narrower one, but the other way round it does.
        known = [p for x, p in belief.probability_within.items() if x <= (self.within_percent or 0.0)]
        return bool(known) and max(known) >= self.probability


def parse_stop_when(text: str) -> StopWhen:
    """Return what ``gain<1%`` or ``within 1%>=95%`` states.

    Raises:
        UsageError: of neither form, or a share that cannot be.
    """
    stripped = text.strip()
    gain, within = _GAIN.fullmatch(stripped), _WITHIN.fullmatch(stripped)
    if gain and float(gain[1]) > 0:
        return StopWhen(stripped, gain_percent=float(gain[1]))
    if within and float(within[1]) > 0 and 0 < float(within[2]) <= 100:
        return StopWhen(stripped, within_percent=float(within[1]), probability=float(within[2]) / 100.0)
    raise UsageError(f"'{text}' does not say when to stop.", "Write 'gain<1%' or 'within 1%>=95%' (of the optimum).")
