"""Hands frames from a decoding thread to its consumer: bounded, counted, and never stuck."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from pipeline.errors import SourceError

Item = TypeVar("Item")


class FrameSlot(Generic[Item]):
    """``capacity`` places. When all are taken, ``put`` drops the oldest item (``newest_wins``, counted) or waits.

    A few places instead of one: detection takes longer than a frame lasts, and the frames that come meanwhile are made
    up for by those that the detection stride leaves out. With one place each of them would be lost.

    After ``close`` everything put is thrown away and nobody waits any more. The condition's lock is re-entrant, so
    ``close`` may be called by a signal handler that interrupted ``take``.
    """

    def __init__(self, capacity: int = 4) -> None:
        if capacity < 1:
            raise ValueError(f"expected a capacity of at least 1, got {capacity}")
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._closed = False
        self._finished = False
        self._error: SourceError | None = None
        self.dropped = 0

    def put(self, item: Item, newest_wins: bool) -> bool:
        """→ False when closed: the item was thrown away and the producer should end."""
        with self._changed:
            if newest_wins:
                while len(self._items) >= self._capacity:
                    self._items.popleft()
                    self.dropped += 1
            else:
                self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def take(self, timeout_s: float) -> Item | None:
        """The next item, or None when there is none in time, when finished, and when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed or self._finished, timeout_s)
            if self._closed or not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def finish(self, error: SourceError | None) -> None:
        """No more items will come, because of ``error`` or (None) because the data ended."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def drained(self) -> bool:
        """Finished, and every item was taken."""
        with self._changed:
            return self._finished and not self._items

    @property
    def error(self) -> SourceError | None:
        return self._error
