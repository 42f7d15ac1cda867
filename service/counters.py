"""Counters, gauges and histograms that a child process keeps and reports once a second."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Upper bounds in seconds of the latency histograms; Prometheus' "le" labels.
BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0, 1.5, 2.5, 5.0, 10.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)


class Histogram:
    """Counts per bucket; the last count is for values over every bound."""

    def __init__(self, bounds: tuple[float, ...] = BUCKETS_S) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def snapshot(self) -> dict[str, Any]:
        return {"bounds": list(self.bounds), "counts": list(self.counts), "sum": self.sum}


class Measures:
    """Thread-safe. Names are the ends of the Prometheus names, for example ``clips_skipped_total``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, float] = {}
        self._gauges: dict[str, float] = {}
        self._histograms: dict[str, Histogram] = {}

    def count(self, name: str, amount: float = 1) -> None:
        with self._lock:
            self._counters[name] = self._counters.get(name, 0) + amount

    def set_counter(self, name: str, value: float) -> None:
        """For counts that another object already keeps."""
        with self._lock:
            self._counters[name] = value

    def gauge(self, name: str, value: float) -> None:
        with self._lock:
            self._gauges[name] = value

    def observe(self, name: str, value: float, bounds: tuple[float, ...] = BUCKETS_S) -> None:
        with self._lock:
            histogram = self._histograms.get(name)
            if histogram is None:
                histogram = self._histograms[name] = Histogram(bounds)
            histogram.add(value)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the body's duration to histogram ``stage:<stage>``."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.observe(f"stage:{stage}", time.monotonic() - begin)

    def value(self, name: str) -> float:
        with self._lock:
            return self._counters.get(name, self._gauges.get(name, 0.0))

    def snapshot(self) -> dict[str, Any]:
        """→ ``{"counters": {…}, "gauges": {…}, "histograms": {name: {bounds, counts, sum}}}``, ready for JSON."""
        with self._lock:
            return {
                "counters": dict(self._counters),
                "gauges": dict(self._gauges),
                "histograms": {name: histogram.snapshot() for name, histogram in self._histograms.items()},
            }


class Rate:
    """Events a second over a sliding window of monotonic time."""

    def __init__(self, window_s: float = 5.0) -> None:
        self._window_s = window_s
        self._marks: list[tuple[float, float]] = []

    def update(self, total: float, now_s: float) -> float:
        """Takes a running total, → its growth a second over the window (0 until two samples are there)."""
        self._marks = [mark for mark in self._marks if now_s - mark[0] <= self._window_s]
        self._marks.append((now_s, total))
        (begin_s, begin), (end_s, end) = self._marks[0], self._marks[-1]
        return (end - begin) / (end_s - begin_s) if end_s > begin_s else 0.0
