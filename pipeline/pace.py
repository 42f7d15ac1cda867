"""How often pictures come, as measured: limits of time that a slow camera could not keep stretch with it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

LATE = 1.5  # intervals: what waits so long outlives a picture that comes a little late, however slow the camera
_STEPS = 5  # an outage among so many steps is no pace
_CLEARLY = 1.1  # times too slow before it counts, so that a camera at the limit does not swing


@dataclass(frozen=True, slots=True)
class TooSlow:
    """Pictures a second, as measured, and how many it takes at least."""

    pictures_hz: float
    least_hz: float


class Pace:
    """Told of every picture's media time. ``interval_s`` is the median of the last steps, 0 until two pictures came."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._steps_s: deque[float] = deque(maxlen=_STEPS)
        self.interval_s = 0.0

    def note(self, time_s: float) -> None:
        """Takes a picture's time; one that does not go forward begins a new step and says nothing of the pace."""
        if self._last_s is not None and time_s > self._last_s:
            self._steps_s.append(time_s - self._last_s)
            self.interval_s = median(self._steps_s)
        self._last_s = time_s

    def at_least(self, limit_s: float, intervals: float) -> float:
        """→ ``limit_s``, or so many intervals where they are longer."""
        return max(limit_s, intervals * self.interval_s)

    def slower_than(self, least_hz: float, before: TooSlow | None) -> TooSlow | None:
        """→ the pace where it is below ``least_hz``, clearly so unless it was ``before``; None where it is not."""
        allowed = 1.0 if before is not None else _CLEARLY
        return TooSlow(1.0 / self.interval_s, least_hz) if self.interval_s * least_hz > allowed else None
