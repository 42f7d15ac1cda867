"""Whose clip is classified next: of all streams' tracks the one that gains most by it, times how long it has waited."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Key = tuple[int, int]  # (connection number, track_id)
HEAD_START_S = 1.0  # counts as waited by everybody: by it a newcomer, who has not waited yet, comes first


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    waiting: int
    tracks: int
    oldest_wait_s: float


class ClipScheduler:
    """A set of offers, at most one a track. The pixels stay with whoever offers; only keys wait here.

    An offer's weight is its gain for each second since the track's last turn, or its first offer if it had none: new
    people come first, and what waits grows in weight until it has its turn, so nobody starves. Thread-safe.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._condition = threading.Condition()
        self._models: dict[Key, str] = {}  # offers waiting, with the model each wants
        self._gains: dict[Key, float] = {}
        self._served: dict[Key, float] = {}
        self._closed = False

    def offer(self, key: Key, model: str, gain: float = 1.0, age_s: float = 0.0) -> None:
        """A newer clip of the same track takes the place that the track already has.

        ``age_s``: how long a track has waited elsewhere that is new here.
        """
        with self._condition:
            self._served.setdefault(key, self._clock() - age_s)
            self._models[key] = model
            self._gains[key] = gain
            self._condition.notify()

    def forget(self, key: Key) -> None:
        with self._condition:
            self._drop(key)

    def forget_connection(self, connection: int) -> None:
        with self._condition:
            for key in [k for k in self._served if k[0] == connection]:
                self._drop(key)

    def take(self, limit: Callable[[str], int], timeout_s: float) -> tuple[str, list[Key]]:
        """Waits for offers, then → (model, up to ``limit(model)`` keys that want it), those that gain most first."""
        with self._condition:
            if not self._models and not self._closed:
                self._condition.wait(timeout_s)
            order = self._order(self._models)
            if not order:
                return "", []
            model = self._models[order[0]]
            keys = [key for key in order if self._models[key] == model][: limit(model)]
            self._serve(keys)
            return model, keys

    def take_beside(self, key: Key, model: str, limit: int) -> list[Key]:
        """→ up to ``limit`` further tracks of ``key``'s connection that wait for the same model, best first."""
        with self._condition:
            beside = [other for other, wanted in self._models.items() if other[0] == key[0] and wanted == model]
            beside = self._order(beside)[: max(0, limit)]
            self._serve(beside)
            return beside

    def _order(self, keys: Iterable[Key]) -> list[Key]:
        now = self._clock()

        def weight(key: Key) -> float:
            return self._gains[key] * (HEAD_START_S + now - self._served.get(key, now))

        return sorted(keys, key=weight, reverse=True)

    def _serve(self, keys: Iterable[Key]) -> None:
        now = self._clock()
        for key in keys:
            del self._models[key]
            self._served[key] = now

    def _drop(self, key: Key) -> None:
        for kept in (self._models, self._gains, self._served):
            kept.pop(key, None)

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
