"""What belongs into a case: recordings, events and incidents of its cameras and its time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.exports.job import CameraJob, CaseJob, Piece, Wish
from service.ids import service_version
from service.recording.reconcile import Recordings
from service.rights import ALL
from service.storage.incidents import IncidentRecord
from service.storage.records import MAX_PAGE, Cursor, EventRecord, RecordingFilter, RecordingRecord
from service.storage.review.exports import ExportCamera, ExportRecord, ExportStore
from service.storage.review.records import VerdictRecord
from service.storage.store import Store
from service.wire_messages import rfc3339

ENCODED_GROWTH = 1.5  # a picture that is encoded once more may take more than it did
LEAST_BYTES = 1_000_000
ENOUGH_S = 0.5  # a recording that ends so little before the span has all of it
PATIENCE_S = 40.0  # beyond the length of a segment, for one that is being recorded
WAITS = "it waits until what is being recorded is finished"


@dataclass(frozen=True, slots=True)
class Archive:
    """``min_free_bytes`` stay free on the disk; ``timezone``: the one in which people are told of times."""

    store: Store
    recordings: Recordings
    exports: ExportStore
    segment_s: float
    min_free_bytes: int
    timezone: str = "UTC"

    async def estimate(self, record: ExportRecord) -> int:
        """→ bytes that making the case may take on the disk at once."""
        sizes = [_bytes_of(await self._recorded(camera, record), record) for camera in record.cameras]
        encodes = ENCODED_GROWTH if record.overlay or record.pixelate_others else 1.0
        return LEAST_BYTES + math.ceil(encodes * (sum(sizes) + max(sizes, default=0))) + await self._to_fetch(record)

    async def _to_fetch(self, record: ExportRecord) -> int:
        """→ bytes of recordings that have to come from a node or the bucket first."""
        found = [each for camera in record.cameras for each in await self._recorded(camera, record)]
        path = self.recordings.path
        return await asyncio.to_thread(lambda: sum(each.bytes for each in found if not path(each.path).is_file()))

    @asynccontextmanager
    async def at_hand(self, record: ExportRecord) -> AsyncIterator[None]:
        """All of its recordings are on this disk meanwhile. Raises Unavailable."""
        found = [each for camera in record.cameras for each in await self._recorded(camera, record)]
        async with self.recordings.at_hand(found):
            yield

    async def still_recorded(self, record: ExportRecord, now: float) -> str:
        """→ why it has to wait; empty where all that will ever be there of its time is there."""
        if now > record.until + self.segment_s + PATIENCE_S:
            return ""
        for camera in record.cameras:
            stream = await self.store.get_stream(camera.stream_id, ALL)
            until = await self.exports.recorded_until(camera.stream_id)
            if stream is not None and stream.record and (until is None or until < record.until - ENOUGH_S):
                return WAITS
        return ""

    async def job(self, record: ExportRecord, folder: Path) -> CaseJob:
        """→ what the process that makes it has to know. Raises StoreError."""
        past = await self.exports.past(record.stream_ids, record.since, record.until)
        return CaseJob(
            id=record.id,
            name=record.name,
            folder=folder,
            begin=record.since,
            end=record.until,
            cameras=tuple([await self._camera(camera, record) for camera in record.cameras]),
            wish=Wish(record.overlay, record.pixelate_others, record.cvat),
            made_by=record.made_by,
            made_at=record.created_at,
            software=f"Actoscope {service_version()}",
            timezone=self.timezone,
            events=tuple(told_event(each, past.verdicts.get(each.id), record.since) for each in past.events),
            events_left_out=past.left_out,
            incidents=tuple(told_incident(each, record.since) for each in past.incidents),
            min_free_bytes=self.min_free_bytes,
        )

    async def _camera(self, camera: ExportCamera, record: ExportRecord) -> CameraJob:
        found = await self._recorded(camera, record)
        return CameraJob(camera.stream_id, camera.name, tuple(self._piece(each) for each in found), camera.keep)

    def _piece(self, recording: RecordingRecord) -> Piece:
        return Piece(
            path=self.recordings.path(recording.path),
            events_path=None if recording.events_path is None else self.recordings.path(recording.events_path),
            started_at=recording.started_at,
            ended_at=recording.ended_at,
            start_s=recording.start_s,
            size_hw=(recording.height, recording.width),
            drawn=recording.overlay,
        )

    async def _recorded(self, camera: ExportCamera, record: ExportRecord) -> list[RecordingRecord]:
        """Oldest first."""
        wanted = RecordingFilter((camera.stream_id,), record.since, record.until)
        found: list[RecordingRecord] = []
        cursor: Cursor | None = None
        while True:
            page = await self.store.list_recordings(wanted, ALL, cursor, MAX_PAGE)
            found += page.items
            if page.next_cursor is None:
                return found[::-1]
            cursor = Cursor.decode(page.next_cursor)


def told_event(record: EventRecord, verdict: VerdictRecord | None, since: float) -> dict[str, Any]:
    """→ an event as a case that begins at ``since`` tells it, with what somebody said of it."""
    plain = {name: getattr(record, name) for name in _EVENT}
    told = None if verdict is None else {name: getattr(verdict, name) for name in _VERDICT}
    if verdict is not None and told is not None:
        told["at"] = rfc3339(verdict.at)
    return {**plain, **_times(record, since), "zones": list(record.zones or ()), "verdict": told}


def told_incident(record: IncidentRecord, since: float) -> dict[str, Any]:
    """→ an incident, likewise."""
    plain = {name: getattr(record, name) for name in _INCIDENT}
    return {**plain, **_times(record, since), "tracks": list(record.tracks), "events": list(record.events)}


_EVENT = ("id", "stream_id", "track_id", "action", "kind", "confidence", "peak_confidence", "model")
_VERDICT = ("verdict", "label", "by", "version")
_INCIDENT = ("id", "rule_id", "rule_name", "stream_id", "zone", "action", "severity", "state", "people", "confidence")


def _times(record: EventRecord | IncidentRecord, since: float) -> dict[str, Any]:
    """Of what went on already when the case begins it is not told since when: that past is not in the case."""
    begins, earlier_s = max(record.started_at, since), max(0.0, since - record.started_at)
    return {
        "started_at": rfc3339(begins),
        "updated_at": rfc3339(max(record.updated_at, begins)),
        "ended_at": None if record.ended_at is None else rfc3339(record.ended_at),
        "start_s": round(record.start_s + earlier_s, 3),
        "end_s": record.end_s,
        "began_before": earlier_s > 0,
    }


def _bytes_of(recordings: list[RecordingRecord], record: ExportRecord) -> float:
    """→ what the part within the span takes, roughly."""
    return sum(each.bytes * _share(each, record) for each in recordings)


def _share(recording: RecordingRecord, record: ExportRecord) -> float:
    within = min(recording.ended_at, record.until) - max(recording.started_at, record.since)
    return max(0.0, min(1.0, within / max(recording.duration_s, 0.001)))
