"""How the bucket does: what waits for it, what went wrong, for people and for metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from service.storage.objects import Waiting
from service.wire_messages import rfc3339

log = logging.getLogger(__name__)

_MB = 1e6
COUNTERS = (
    *("bucket_uploads_total", "bucket_upload_failures_total", "bucket_uploaded_bytes_total"),
    *("bucket_deletions_total", "bucket_deletion_failures_total", "bucket_fetched_total", "bucket_read_failures_total"),
    *("bucket_copies_removed_total", "bucket_adopted_total", "bucket_strays_deleted_total"),
)


class Standing:
    """``place``: of the bucket, without a credential."""

    def __init__(self, place: str, clock: Callable[[], float] = time.time) -> None:
        self.place = place
        self.waiting = Waiting()
        self.failing_since: float | None = None
        self.error = ""  # the newest, while it fails
        self.compared_at: float | None = None
        self.beside = ""  # what others have to say who send to the same bucket, for everybody
        self._clock = clock
        self._counters = dict.fromkeys(COUNTERS, 0)

    def count(self, name: str, number: int = 1) -> None:
        self._counters[name] += number

    def failed(self, error: str) -> None:
        """Said once, until it goes well again."""
        if self.failing_since is None:
            self.failing_since = self._clock()
            log.error("recordings stay on this disk and wait, the bucket does not take them: %s", error)
        self.error = error

    def went_well(self) -> None:
        if self.failing_since is not None:
            log.info("the bucket takes recordings again; %d files wait", self.waiting.files)
        self.failing_since, self.error = None, ""

    @property
    def oldest_s(self) -> float:
        """How long the file that waits longest does."""
        return 0.0 if self.waiting.oldest is None else max(0.0, self._clock() - self.waiting.oldest)

    @property
    def detail(self) -> str:
        """For everybody: nothing of where the bucket is, or why."""
        told = []
        if self.failing_since is not None:
            waits = f"{self.waiting.files} files ({self.waiting.bytes / _MB:.0f} MB) wait, the oldest for"
            told.append(f"not reached since {rfc3339(self.failing_since)}: {waits} {self.oldest_s:.0f} s")
        if self.waiting.missing:
            told.append(f"files that are missing in it: {self.waiting.missing}")
        return "; ".join([*told, *filter(None, [self.beside])]) or "ok"

    @property
    def problem(self) -> str:
        """For the operator; empty where all is well."""
        if self.detail == "ok":
            return ""
        return f"{self.place}: {self.detail}" + (f" ({self.error})" if self.error else "")

    def measures(self) -> dict[str, Any]:
        """→ a snapshot like ``Measures.snapshot``."""
        gauges = {
            "bucket_uploads_pending": self.waiting.files,
            "bucket_uploads_pending_bytes": self.waiting.bytes,
            "bucket_uploads_oldest_seconds": self.oldest_s,
            "bucket_deletions_pending": self.waiting.deletions,
            "bucket_missing": self.waiting.missing,
            "bucket_failing": int(self.failing_since is not None),
        }
        return {"counters": dict(self._counters), "gauges": gauges, "histograms": {}}
