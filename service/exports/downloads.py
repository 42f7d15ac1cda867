"""When a download counts as a new one: players and download managers fetch one file in many parts."""

from __future__ import annotations

import time
from collections.abc import Callable

from service.rights import Principal

HOUR_S = 3600.0
MOST = 1000  # that are remembered; beyond them a row too many is written, never one too few


class Downloads:
    """``clock`` in monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[tuple[str, str, str], float] = {}  # the oldest first

    def begins(self, who: Principal, export_id: str) -> bool:
        """→ whether ``who`` has not fetched this case within an hour."""
        key, now = (who.kind, who.id, export_id), self._clock()
        begun = self._begun.get(key)
        if begun is not None and now - begun < HOUR_S:
            return False
        self._begun.pop(key, None)
        self._begun[key] = now
        if len(self._begun) > MOST:
            del self._begun[next(iter(self._begun))]
        return True
