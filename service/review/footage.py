"""Which recorded files show the time that a verdict is about, and whether more of it is still to come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from service.recording.reconcile import Recordings
from service.review.cutting import Footage, NoClip, Window
from service.rights import ALL
from service.storage.records import RecordingFilter, RecordingRecord
from service.storage.review.records import VerdictRecord
from service.storage.segment import Needed
from service.storage.store import Store

SLACK_S = 90.0  # between the event's time of day and its media time: a camera's delay, an adjusted start
PATIENCE_S = 45.0  # beyond the length of a segment, for one that is being recorded
ENOUGH_S = 0.5  # a recording that ends so little before the window has all of it


@dataclass(frozen=True, slots=True)
class FootageFinder:
    """``segment_s``: length of a recorded file."""

    store: Store
    recordings: Recordings
    segment_s: float
    clock: Callable[[], float] = time.time

    async def find(self, verdict: VerdictRecord, window: Window) -> tuple[RecordingRecord, ...] | None:
        """→ recordings in order; None while the end may still come to the disk. Raises NoClip where none will come."""
        needed = needed_by(verdict, window)
        middle = (needed.begin + needed.end) / 2
        wanted = RecordingFilter((verdict.stream_id,), needed.begin, needed.end)
        page = await self.store.list_recordings(wanted, ALL, None, 500)
        shown = [each for each in reversed(page.items) if _shows(each, window)]
        ends_s = max((each.start_s + each.duration_s for each in shown), default=0.0)
        if ends_s < window.end_s - ENOUGH_S and await self._may_come(verdict, middle):
            return None
        if not shown:
            raise NoClip("nothing was recorded in that time")
        if any(each.overlay for each in shown):
            raise NoClip("boxes and labels are drawn into the recording")
        return tuple(shown)

    @asynccontextmanager
    async def at_hand(self, shown: Sequence[RecordingRecord]) -> AsyncIterator[tuple[Footage, ...]]:
        """→ their files, which are on this disk meanwhile. Raises NoClip, Unavailable."""
        async with self.recordings.at_hand(shown):
            yield await asyncio.to_thread(self._clean, shown)

    async def _may_come(self, verdict: VerdictRecord, middle: float) -> bool:
        if self.clock() > middle + SLACK_S + self.segment_s + PATIENCE_S:
            return False
        stream = await self.store.get_stream(verdict.stream_id, ALL)
        return stream is not None and stream.enabled and bool(stream.record)

    def _clean(self, shown: Sequence[RecordingRecord]) -> tuple[Footage, ...]:
        path = self.recordings.path
        found = [(each, each.events_path) for each in shown if path(each.path).is_file()]
        clean = tuple(Footage(path(each.path), path(lines), each.start_s) for each, lines in found if lines)
        if not clean:
            raise NoClip("the recording does not say where people are")
        return clean


def needed_by(verdict: VerdictRecord, window: Window) -> Needed:
    """→ in which time the files of a verdict's clip were recorded."""
    middle = verdict.started_at + window.middle_s - verdict.start_s
    half = (window.end_s - window.begin_s) / 2 + SLACK_S
    return Needed(verdict.stream_id, middle - half, middle + half)


def _shows(record: RecordingRecord, window: Window) -> bool:
    return record.start_s < window.end_s and record.start_s + record.duration_s > window.begin_s
