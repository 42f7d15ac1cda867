"""Whose clip is classified next: tracks of all streams take turns by the age of their last label."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

Key = tuple[int, int]  # (connection number, track_id)


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    waiting: int
    tracks: int
    oldest_wait_s: float


class ClipScheduler:
    """A set of offers, at most one a track. The pixels stay with whoever offers; only keys wait here.

    A track without a label yet counts as labelled when it first offered, so a newcomer waits its turn behind tracks
    that have waited longer, and nobody starves. Thread-safe.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._condition = threading.Condition()
        self._models: dict[Key, str] = {}  # offers waiting, with the model each wants
        self._served: dict[Key, float] = {}
        self._closed = False

    def offer(self, key: Key, model: str) -> None:
        """A newer clip of the same track takes the place that the track already has."""
        with self._condition:
            self._served.setdefault(key, self._clock())
            self._models[key] = model
            self._condition.notify()

    def forget(self, key: Key) -> None:
        with self._condition:
            self._models.pop(key, None)
            self._served.pop(key, None)

    def forget_connection(self, connection: int) -> None:
        with self._condition:
            for key in [k for k in self._served if k[0] == connection]:
                self._models.pop(key, None)
                self._served.pop(key, None)

    def take(self, limit: int, timeout_s: float) -> tuple[str, list[Key]]:
        """Waits for offers, then → (model, up to ``limit`` keys that want it), longest unlabelled first."""
        with self._condition:
            if not self._models and not self._closed:
                self._condition.wait(timeout_s)
            order = sorted(self._models, key=lambda key: self._served.get(key, 0.0))
            if not order:
                return "", []
            model = self._models[order[0]]
            keys = [key for key in order if self._models[key] == model][:limit]
            now = self._clock()
            for key in keys:
                del self._models[key]
                self._served[key] = now
            return model, keys

    def take_beside(self, key: Key, model: str, limit: int) -> list[Key]:
        """→ up to ``limit`` further tracks of ``key``'s connection that wait for the same model, longest first."""
        with self._condition:
            beside = [other for other, wanted in self._models.items() if other[0] == key[0] and wanted == model]
            beside = sorted(beside, key=lambda other: self._served.get(other, 0.0))[: max(0, limit)]
            now = self._clock()
            for other in beside:
                del self._models[other]
                self._served[other] = now
            return beside

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def stats(self) -> SchedulerStats:
        with self._condition:
            now = self._clock()
            waits = [now - self._served[key] for key in self._models if key in self._served]
            return SchedulerStats(len(self._models), len(self._served), max(waits, default=0.0))
