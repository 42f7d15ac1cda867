"""Media time: from a source's presentation timestamps to a clock that never goes back."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TypeGuard

from pipeline.sources.drift import Drift

FALLBACK_RATE_HZ = 25.0
MIN_STEP_S = 0.001  # two frames never share a time
BACK_TOLERANCE_S = 0.5  # smaller steps back are jitter of the source, larger ones a new time line
LIVE_JUMP_S = 2.0  # a live source's timestamps may run this much ahead of their arrival
FILE_JUMP_S = 10.0  # a longer hole in a file is a broken time line
JUMPS, JUMPS_S = 4, 30.0  # so many jumps of a live source within so many seconds: its stamps tell nothing


@dataclass(frozen=True, slots=True)
class ClockPoint:
    """Where media time stands: the last frame's time, epoch, arrival (monotonic clock) and size."""

    time_s: float
    epoch: int
    arrival_s: float
    size_hw: tuple[int, int]


class Clock(str, Enum):
    """What media time follows."""

    SOURCE = "source"  # the source's own time stamps
    ARRIVAL = "arrival"  # the time at which pictures come


@dataclass(frozen=True, slots=True)
class ClockChoice:
    """What media time follows now, and why where that is not the source's time stamps."""

    clock: Clock = Clock.SOURCE
    reason: str = ""

    @property
    def doubted(self) -> bool:
        """Whether there are time stamps that are not believed. Sources without any, as MJPEG has none, are well."""
        return self.clock is Clock.ARRIVAL and self != NO_STAMPS


BELIEVED = ClockChoice()
NO_STAMPS = ClockChoice(Clock.ARRIVAL, "it sends no time stamps")


class MediaClock:
    """Stamps the frames of one connection, going on from where the connection before it ended (``after``).

    A break of continuity (new connection, change of size, jump or wrap of the timestamps) adds one to the epoch. Over a
    break, a live source's media time advances by the time that really passed, a file's by one frame.

    A live source whose time stamps pass at another speed than real time, or jump again and again, is followed by the
    arrival of its pictures instead, until its stamps have kept step for a minute (``drift``). ``choice`` tells. What
    media time fell behind until then is made up for in one step, so that it stays as long as the time that passed.
    A wrong clock is not forgotten when the connection is lost: ``known`` is the choice of the connection before.

    ``judged``: whether arrival tells anything about the clock. Of a source that is fetched piece by piece it does not.
    """

    def __init__(
        self,
        live: bool,
        period_s: float,
        after: ClockPoint | None = None,
        *,
        known: ClockChoice = BELIEVED,
        judged: bool = True,
    ) -> None:
        self._live = live
        self._period_s = period_s
        self._last = after
        self._fresh = True  # no frame of this connection yet
        self._pts_s: float | None = None
        self._offset_s = 0.0  # media time = pts + offset
        self._drift = Drift()
        self._jumps_s: deque[float] = deque(maxlen=JUMPS)  # arrivals of the last jumps
        self._jumped_s = 0.0  # sum of the jumps
        self._was_stamped = False  # any frame of this connection
        self._ahead_s = 0.0  # arrival of the connection's first frame less its media time
        self._owed_s = 0.0  # what media time has to make up for
        self._judged = live and judged
        self._known = known if self._judged and known != NO_STAMPS else BELIEVED
        self.choice = self._known

    @property
    def point(self) -> ClockPoint | None:
        return self._last

    def stamp(
        self, pts_s: float | None, size_hw: tuple[int, int], arrival_s: float, waited_s: float = math.inf
    ) -> tuple[float, int]:
        """→ (time_s, epoch) of the next frame. ``pts_s`` is None where the source gives no timestamp.

        ``waited_s``: how long the reader had nothing to do before it came.
        """
        last = self._last
        if last is None:
            time_s, epoch = 0.0, 0
            self._anchor(pts_s, time_s)
        else:
            jumped = self._jumped(pts_s, arrival_s)
            epoch = last.epoch + int(self._fresh or jumped or size_hw != last.size_hw)
            if self._fresh or jumped or not self._stamped(pts_s):
                time_s = last.time_s + self._unclocked_step(arrival_s - last.arrival_s)
                self._anchor(pts_s, time_s)
            else:
                time_s = max(pts_s + self._offset_s, last.time_s + MIN_STEP_S)
        if self._fresh:
            self._ahead_s = arrival_s - time_s
        self._pts_s, self._fresh = pts_s, False
        self._last = ClockPoint(time_s, epoch, arrival_s, size_hw)
        if self._live:
            self._judge(pts_s, time_s, arrival_s, waited_s)
        return time_s, epoch

    def _stamped(self, pts_s: float | None) -> TypeGuard[float]:
        """Whether the time stamps of this frame and the last connect them."""
        return pts_s is not None and self._pts_s is not None and self.choice.clock is Clock.SOURCE

    def _anchor(self, pts_s: float | None, time_s: float) -> None:
        if pts_s is not None:
            self._offset_s = time_s - pts_s

    def _unclocked_step(self, waited_s: float) -> float:
        """Media time between two frames that no timestamps connect."""
        if not self._live:
            return self._period_s
        owed_s, self._owed_s = self._owed_s, 0.0
        return owed_s + max(waited_s, self._period_s if self._fresh else MIN_STEP_S)

    def _jumped(self, pts_s: float | None, arrival_s: float) -> bool:
        if not self._stamped(pts_s) or self._pts_s is None or self._last is None:
            return False
        step_s = pts_s - self._pts_s
        ahead_s = max(arrival_s - self._last.arrival_s, 0.0) + LIVE_JUMP_S if self._live else FILE_JUMP_S
        jumped = step_s < -BACK_TOLERANCE_S or step_s > ahead_s
        if jumped:
            self._jumps_s.append(arrival_s)
            self._jumped_s += step_s - (arrival_s - self._last.arrival_s)
        return jumped

    def _judge(self, pts_s: float | None, time_s: float, arrival_s: float, waited_s: float) -> None:
        """Decides what the next frame's media time follows."""
        if pts_s is None:
            self.choice = self.choice if self._was_stamped else NO_STAMPS
            return
        if not self._was_stamped:
            self.choice, self._was_stamped = self._known, True
        if not self._judged:
            return
        complete = self._drift.observe(pts_s - self._jumped_s, arrival_s, waited_s)
        if self.choice.clock is Clock.ARRIVAL:
            if complete and self._drift.steady:
                self.choice = BELIEVED
        elif len(self._jumps_s) == JUMPS and arrival_s - self._jumps_s[0] < JUMPS_S:
            self._follow_arrival(f"its time stamps jumped {JUMPS} times within {JUMPS_S:g} s", time_s, arrival_s)
        elif complete and (speed := self._drift.speed()) is not None:
            self._follow_arrival(f"its time stamps pass {speed:.2g} s in a second", time_s, arrival_s)

    def _follow_arrival(self, reason: str, time_s: float, arrival_s: float) -> None:
        self.choice = ClockChoice(Clock.ARRIVAL, reason)
        self._owed_s = max(0.0, arrival_s - time_s - self._ahead_s)


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
