"""How long to wait before trying a lost camera again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Exponential, with a ceiling that grows with the outage.

    A camera that reboots is found soon after it is back (within 2 s in an outage of up to half a minute); one that is
    gone for hours is asked every ``ceiling_s``. Jitter shortens a wait by up to a quarter and never lengthens it:
    many cameras behind one failed switch do not come back in step, and the ceiling stays a promise.
    """

    first_s: float = 0.5
    low_ceiling_s: float = 1.0
    ceiling_s: float = 30.0
    growth: float = 16.0  # the ceiling is a sixteenth of the outage
    jitter: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.low_ceiling_s <= self.ceiling_s or self.growth <= 0 or not 0 <= self.jitter < 1:
            raise ValueError(f"expected 0 < first_s <= low_ceiling_s <= ceiling_s, growth > 0, 0 <= jitter < 1: {self}")

    def delay_s(self, attempt: int, outage_s: float, chance: float | None = None) -> float:
        """Seconds to wait before attempt number ``attempt`` (from 0), ``outage_s`` after the outage began.

        ``chance`` in 0..1 replaces the random draw.
        """
        ceiling = min(max(outage_s / self.growth, self.low_ceiling_s), self.ceiling_s)
        wait = min(self.first_s * 2.0 ** min(attempt, 32), ceiling)
        draw = random.random() if chance is None else chance  # noqa: S311  (spreads load, guards nothing)
        return max(wait * (1.0 - self.jitter * draw), self.first_s)
