"""Until when this machine may run what it has: by its own clock, which no network can hold up.

The database counts a lease from when it has written it, which is later than when the renewal was sent; so a deadline
that is counted from the sending is always the earlier one. The clock goes on while the machine sleeps or the process is
stopped: whoever wakes looks at it before anything leaves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from service.storage.cluster.leases import TTL_S

MARGIN_S = 0.5  # for clocks that go at different speeds, and for what is on its way out

Clock = Callable[[], float]


def boot_time() -> float:
    """Seconds since this machine was started, those of its sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Deadlines:
    """Stream → (epoch, until when). What was never confirmed is over."""

    def __init__(self, clock: Clock = boot_time) -> None:
        self.clock = clock
        self._until: dict[str, tuple[int, float]] = {}

    def extend(self, leases: Iterable[tuple[str, int]], sent_s: float) -> None:
        """The database has confirmed these (stream, epoch) for a renewal that left at ``sent_s``."""
        for stream_id, epoch in leases:
            self._until[stream_id] = (epoch, sent_s + TTL_S - MARGIN_S)

    def live(self, stream_id: str, epoch: int) -> bool:
        """Whether what a stream says under this epoch may leave now."""
        held = self._until.get(stream_id)
        return held is not None and held[0] == epoch and self.clock() < held[1]

    def end(self, stream_id: str) -> None:
        self._until.pop(stream_id, None)

    def overdue(self) -> list[tuple[str, int]]:
        now = self.clock()
        return [(stream_id, epoch) for stream_id, (epoch, until) in self._until.items() if now >= until]
