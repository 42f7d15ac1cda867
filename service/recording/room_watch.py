"""What retention did, counted, and what an operator should know of it: kept incidents take room from all else."""

from __future__ import annotations

import logging
from typing import Any

from service.recording.retention import Removals

log = logging.getLogger(__name__)

GB = 1e9


class RoomWatch:
    """``max_bytes``: the limit of all recordings together, None where there is none."""

    def __init__(self, max_bytes: int | None) -> None:
        self._max_bytes = max_bytes
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._bytes = self._kept_bytes = 0
        self.problem = ""

    def take(self, removals: Removals) -> None:
        """One round of retention, done."""
        self._counters["recordings_deleted_total:age"] += len(removals.too_old)
        self._counters["recordings_deleted_total:room"] += len(removals.too_much) - removals.crowded_out
        self._counters["recordings_deleted_total:kept"] += removals.crowded_out
        self._bytes, self._kept_bytes = removals.bytes, removals.kept_bytes
        self._say(removals.crowded_out)

    def _say(self, crowded_out: int) -> None:
        """Once, until kept ones leave enough room again."""
        before, self.problem = self.problem, self._problem(crowded_out)
        if self.problem and not before:
            log.error("%s", self.problem)
        elif before and not self.problem:
            log.info("recordings have room again beside what is kept")

    def _problem(self, crowded_out: int) -> str:
        if self._max_bytes is None or not (crowded_out or (self.problem and self._kept_bytes > self._max_bytes / 2)):
            return ""
        kept, limit = self._kept_bytes / GB, self._max_bytes / GB
        return (
            f"kept incidents take {kept:.1f} GB of the {limit:.1f} GB for recordings, so others go earlier than they "
            "should: keep fewer, or raise ACTOSCOPE_RECORDINGS_MAX_GB"
        )

    def measures(self) -> dict[str, Any]:
        """→ a snapshot like ``Measures.snapshot``."""
        gauges = {"recordings_bytes": self._bytes, "recordings_kept_bytes": self._kept_bytes}
        gauges["recordings_crowded"] = int(bool(self.problem))
        if self._max_bytes is not None:
            gauges["recordings_limit_bytes"] = self._max_bytes
        return {"counters": dict(self._counters), "gauges": gauges, "histograms": {}}


COUNTERS = ("recordings_deleted_total:age", "recordings_deleted_total:room", "recordings_deleted_total:kept")
