"""Whether people's labels come late while a training runs: then it waits.

How old labels are depends on the machine: settled people of a small one wait for seconds in any case. So they suffer
where they are older than the operator wants, and older by half than they were before the training began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

WINDOW_S = 30.0
MOST = 4096  # ages in the window
SHARE = 0.95
WORSE = 1.5  # times what it was before


class LabelAges:
    """``limit_s``: what the operator wants. Times are of one monotonic clock."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._ages: deque[tuple[float, float]] = deque(maxlen=MOST)  # when, seconds
        self._before_s = 0.0

    def add(self, now_s: float, ages_s: Iterable[float]) -> None:
        """One age a stream; streams without people have none."""
        self._ages.extend((now_s, age) for age in ages_s)
        while self._ages and now_s - self._ages[0][0] > WINDOW_S:
            self._ages.popleft()

    def p95_s(self) -> float:
        """→ 0 where nobody has a label."""
        ages = sorted(age for _, age in self._ages)
        return ages[min(len(ages) - 1, int(SHARE * len(ages)))] if ages else 0.0

    def begin(self) -> None:
        """A training begins now: what labels are like is what it is held to."""
        self._before_s = self.p95_s()

    def allowed_s(self) -> float:
        return max(self._limit_s, WORSE * self._before_s)

    def suffering(self) -> str | None:
        """→ why a training waits, for people; None: it need not."""
        age_s, allowed_s = self.p95_s(), self.allowed_s()
        if age_s <= allowed_s:
            return None
        return f"cameras come first: labels are {age_s:.1f} s old, at most {allowed_s:.1f} s is allowed"
