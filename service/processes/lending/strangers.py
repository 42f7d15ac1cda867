"""Connections that have not shown the token yet: a bounded number of them, so that no stranger keeps a node out.

Who has the token shows it within a few milliseconds, a stranger may take seconds. So nobody is turned away for coming
late: where there are too many, the one that has waited longest has to go, of the same address first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

MOST = 64
MOST_OF_ADDRESS = 8


class Strangers:
    """Thread-safe. Each is added with what ends it: called where it is crowded out; whoever reads from it sees that."""

    def __init__(self, most: int = MOST, most_of_address: int = MOST_OF_ADDRESS) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, tuple[str, Callable[[], None]]] = {}  # → its address, its end; the oldest first

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting)

    def add(self, who: Hashable, address: str, end: Callable[[], None]) -> None:
        with self._lock:
            same = [each for each, (other, _) in self._waiting.items() if other == address]
            if len(same) >= self._most_of_address:
                self._end(same[0])
            elif len(self._waiting) >= self._most:
                self._end(next(iter(self._waiting)))
            self._waiting[who] = (address, end)

    def remove(self, who: Hashable) -> bool:
        """It has shown the token, or went → whether it was still here, not crowded out."""
        with self._lock:
            return self._waiting.pop(who, None) is not None

    def end_all(self) -> None:
        """The door is closed."""
        with self._lock:
            for who in list(self._waiting):
                self._end(who)

    def _end(self, who: Hashable) -> None:
        _, end = self._waiting.pop(who)
        end()
