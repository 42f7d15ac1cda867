"""The time by which recordings grow old, on a machine whose clock somebody sets meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

LEAP_S = 3600.0  # the wall clock this much ahead of where it should be: somebody has set it
BELIEVED_AFTER_S = 86_400.0


def since_boot_s() -> float:
    """A clock that nobody sets, and that goes on while the machine is suspended where the system has such a one: else
    waking up would look like a clock that was set forward."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class AgeClock:
    """``now`` is Unix time, but a leap forward is believed only once it has lasted a day.

    Else a clock that was wrong for a minute (a bad time server, a dead battery) would make every recording older than
    its limit, and they would be deleted. A clock that was set back is believed at once: recordings stay longer then.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = since_boot_s) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._now, self._looked_s = wall(), monotonic()
        self._leap_since_s: float | None = None

    def now(self) -> float:
        wall, looked_s = self._wall(), self._monotonic()
        expected = self._now + looked_s - self._looked_s
        if wall - expected <= LEAP_S:
            self._leap_since_s = None
        elif self._leap_since_s is None:
            log.warning(
                "the clock was set forward by %.0f s: no recording grows old by that for a day", wall - expected
            )
            self._leap_since_s = looked_s
        leaps = self._leap_since_s is not None and looked_s - self._leap_since_s < BELIEVED_AFTER_S
        self._now, self._looked_s = expected if leaps else wall, looked_s
        if not leaps:
            self._leap_since_s = None
        return self._now
