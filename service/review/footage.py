"""Which recorded files show the time that a verdict is about, and whether more of it is still to come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
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

    async def find(self, verdict: VerdictRecord, window: Window) -> tuple[Footage, ...] | None:
        """→ files in order; None while the end may still come to the disk. Raises NoClip where nothing will come."""
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
        await self.recordings.bring(*(path for each in shown for path in (each.path, each.events_path)))
        return self._clean(shown)

    def at_hand(self, footage: Sequence[Footage]) -> AbstractAsyncContextManager[None]:
        """The files are on this disk meanwhile. Raises Unavailable."""
        return self.recordings.at_hand([each.recording for each in footage])

    async def _may_come(self, verdict: VerdictRecord, middle: float) -> bool:
        if self.clock() > middle + SLACK_S + self.segment_s + PATIENCE_S:
            return False
        stream = await self.store.get_stream(verdict.stream_id, ALL)
        return stream is not None and stream.enabled and bool(stream.record)

    def _clean(self, shown: list[RecordingRecord]) -> tuple[Footage, ...]:
        if any(each.overlay for each in shown):
            raise NoClip("boxes and labels are drawn into the recording")
        found = [(each, each.events_path) for each in shown if self.recordings.is_kept(each)]
        path = self.recordings.path
        clean = tuple(Footage(path(each.path), path(lines), each.start_s, each.id) for each, lines in found if lines)
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
