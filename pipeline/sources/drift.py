"""Whether a live source's time stamps pass as fast as real time does.

A picture's transit is its arrival minus its time stamp. Networks can only add to it, so the least transit of each
second shows the clocks: a stall and the burst after it, or the pictures that a server sends at once in the beginning,
do not move it for long. A step, of the network's latency or of the stamps, moves it once. Only a clock of another speed
moves it second after second.

Or a reader that is slower than the camera: what waits in the socket grows older and older. So only pictures that were
waited for say anything, in seconds of which a good part was spent waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

JITTER_S = 1.5  # a drift up to this may be the network's
CRYSTAL = 0.02  # of the time: a cheap crystal is off by a ten-thousandth, stamps of honest cameras by less than this
STEADY_S = 1.0  # clocks that stayed this close for the whole memory go at one speed
MEMORY = 60  # seconds
WAITED_S = 0.002  # what takes less is no waiting, but the reading of what is there
IDLE = 0.2  # of a second: a reader that waits for less may lag behind, and turns of the interpreter look like waiting
_HORIZONS = (3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, MEMORY)  # newest seconds that are judged, each by itself


class Drift:
    """What is known of one connection's stamps. ``observe`` takes every picture, ``speed`` judges."""

    def __init__(self) -> None:
        self._lows: deque[tuple[float, float]] = deque(maxlen=MEMORY + 1)  # (arrival_s, transit_s), one a second
        self._low: tuple[float, float] | None = None  # of the present second
        self._second_began_s: float | None = None
        self._waited_s = 0.0  # in the present second

    def observe(self, pts_s: float, arrival_s: float, waited_s: float) -> bool:
        """Takes a picture's time stamp, its arrival (monotonic) and how long the reader waited for it.

        → whether a second that tells something is complete: time to judge.
        """
        told = self._end_second(arrival_s, waited_s)
        transit_s = arrival_s - pts_s
        if waited_s >= WAITED_S and (self._low is None or transit_s < self._low[1]):
            self._low = (arrival_s, transit_s)
        return told

    def _end_second(self, arrival_s: float, waited_s: float) -> bool:
        """Begins the next one where the present one is over. → whether it was, and told something."""
        self._waited_s += waited_s
        began_s, low = self._second_began_s, self._low
        if began_s is not None and arrival_s - began_s < 1.0:
            return False
        told = began_s is not None and low is not None and self._waited_s >= IDLE * (arrival_s - began_s)
        if told and low is not None:
            self._lows.append(low)
        self._second_began_s, self._low, self._waited_s = arrival_s, None, 0.0
        return told

    def speed(self) -> float | None:
        """→ seconds of time stamps in a second of real time where that is wrong for sure, else None."""
        lows = list(self._lows)
        for count in _HORIZONS:
            if count >= len(lows):
                break
            drift = _steady_drift(lows[-count - 1 :])
            if drift is not None:
                return 1.0 - drift
        return None

    @property
    def steady(self) -> bool:
        """Whether stamps and arrival kept step for as long as is remembered."""
        transits = [transit_s for _, transit_s in self._lows]
        return len(transits) > MEMORY and max(transits) - min(transits) <= STEADY_S


def _steady_drift(lows: Sequence[tuple[float, float]]) -> float | None:
    """(arrival_s, transit_s) of some seconds → what the transit grows by in a second, where it does so beyond jitter.

    It does so steadily: the median second shows it, which a few steps of latency do not move; the medians of the first
    and the last third, which single late seconds do not move; and the whole without its largest step.
    """
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(lows)]
    passed_s = lows[-1][0] - lows[0][0]
    typical = median(grown_s / step_s for step_s, grown_s in steps)
    without_largest_s = lows[-1][1] - lows[0][1] - max((grown_s for _, grown_s in steps), key=abs)
    shown_s = (typical * passed_s, _slope(lows) * passed_s, without_largest_s)
    allowed_s = JITTER_S + CRYSTAL * passed_s
    beyond = min(shown_s) > allowed_s or max(shown_s) < -allowed_s
    return typical if beyond else None


def _slope(lows: Sequence[tuple[float, float]]) -> float:
    """→ growth of the transit in a second, from the first third to the last."""
    third = max(1, len(lows) // 3)
    first, last = lows[:third], lows[-third:]
    grown_s = median(low[1] for low in last) - median(low[1] for low in first)
    return grown_s / (median(low[0] for low in last) - median(low[0] for low in first))
