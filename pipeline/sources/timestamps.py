"""Media time: from a source's presentation timestamps to a clock that never goes back."""

from __future__ import annotations

from dataclasses import dataclass

FALLBACK_RATE_HZ = 25.0
MIN_STEP_S = 0.001  # two frames never share a time
BACK_TOLERANCE_S = 0.5  # smaller steps back are jitter of the source, larger ones a new time line
LIVE_JUMP_S = 2.0  # a live source's timestamps may run this much ahead of their arrival
FILE_JUMP_S = 10.0  # a longer hole in a file is a broken time line


@dataclass(frozen=True, slots=True)
class ClockPoint:
    """Where media time stands: the last frame's time, epoch, arrival (monotonic clock) and size."""

    time_s: float
    epoch: int
    arrival_s: float
    size_hw: tuple[int, int]


class MediaClock:
    """Stamps the frames of one connection, going on from where the connection before it ended (``after``).

    A break of continuity (new connection, change of size, jump or wrap of the timestamps) adds one to the epoch. Over a
    break, a live source's media time advances by the time that really passed, a file's by one frame.
    """

    def __init__(self, live: bool, period_s: float, after: ClockPoint | None = None) -> None:
        self._live = live
        self._period_s = period_s
        self._last = after
        self._fresh = True  # no frame of this connection yet
        self._pts_s: float | None = None
        self._offset_s = 0.0  # media time = pts + offset

    @property
    def point(self) -> ClockPoint | None:
        return self._last

    def stamp(self, pts_s: float | None, size_hw: tuple[int, int], arrival_s: float) -> tuple[float, int]:
        """→ (time_s, epoch) of the next frame. ``pts_s`` is None where the source gives no timestamp."""
        last = self._last
        if last is None:
            time_s, epoch = 0.0, 0
            self._anchor(pts_s, time_s)
        else:
            jumped = self._jumped(pts_s, arrival_s - last.arrival_s)
            epoch = last.epoch + int(self._fresh or jumped or size_hw != last.size_hw)
            if self._fresh or jumped or pts_s is None or self._pts_s is None:
                time_s = last.time_s + self._unclocked_step(arrival_s - last.arrival_s)
                self._anchor(pts_s, time_s)
            else:
                time_s = max(pts_s + self._offset_s, last.time_s + MIN_STEP_S)
        self._pts_s, self._fresh = pts_s, False
        self._last = ClockPoint(time_s, epoch, arrival_s, size_hw)
        return time_s, epoch

    def _anchor(self, pts_s: float | None, time_s: float) -> None:
        if pts_s is not None:
            self._offset_s = time_s - pts_s

    def _unclocked_step(self, waited_s: float) -> float:
        """Media time between two frames that no timestamps connect."""
        if not self._live:
            return self._period_s
        return max(waited_s, self._period_s if self._fresh else MIN_STEP_S)

    def _jumped(self, pts_s: float | None, waited_s: float) -> bool:
        if pts_s is None or self._pts_s is None:
            return False
        step_s = pts_s - self._pts_s
        ahead_s = max(waited_s, 0.0) + LIVE_JUMP_S if self._live else FILE_JUMP_S
        return step_s < -BACK_TOLERANCE_S or step_s > ahead_s


class Pacer:
    """Says how long to hold a frame back so that a file plays at its own speed.

    A consumer that falls behind by more than ``SLACK_S`` moves the schedule instead of getting a burst.
    """

    SLACK_S = 1.0

    def __init__(self) -> None:
        self._start_s: float | None = None  # monotonic time of media time 0

    def hold_s(self, time_s: float, now_s: float) -> float:
        """Seconds from ``now_s`` (monotonic) until the frame of media time ``time_s`` is due; 0 when it is late."""
        if self._start_s is None or now_s - (self._start_s + time_s) > self.SLACK_S:
            self._start_s = now_s - time_s
        return max(0.0, self._start_s + time_s - now_s)


def frame_period_s(rate_hz: float | None) -> float:
    """Seconds a frame at a declared rate; 25 a second where it is missing or absurd."""
    if rate_hz is None or not 0.1 <= rate_hz <= 1000.0:
        return 1.0 / FALLBACK_RATE_HZ
    return 1.0 / rate_hz
