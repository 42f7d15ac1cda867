"""Pictures and clips of incidents: ``<folder>/<incident id>/snapshot.jpg`` and ``clip.mp4``, and how long they stay.

A picture is asked for as soon as an incident has started. Its clip is cut when its end is on disk, so some time after
the incident ended: recordings are finished a segment at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.files import write_atomically
from service.alerts.changes import Change
from service.alerts.runner import AlertRunner
from service.errors_base import Unavailable
from service.recording.age_clock import AgeClock
from service.recording.clip_file import Source, cut_clip
from service.recording.reconcile import Recordings
from service.rights import ALL
from service.storage.database import StoreError
from service.storage.incidents import IncidentRecord, IncidentStore
from service.storage.records import RecordingFilter, RecordingRecord
from service.storage.store import Store
from service.supervisor_protocol import SnapshotUnavailable, Supervisor

log = logging.getLogger(__name__)

SNAPSHOT_S = 5.0
SNAPSHOTS_AT_ONCE = 16
MAX_CLIP_S = 60.0  # of the incident itself, without what is before and after
CLIPS_AT_ONCE = 100
PATIENCE_S = 30.0  # beyond the length of a segment, for one that is being recorded
LOOK_S = 1.0
AGAIN_S = 10.0  # for a clip whose recordings could not be reached
RETENTION_S = 60.0
MAX_INCIDENTS = 10_000  # that nobody keeps
ENOUGH_S = 0.5  # a recording that ends so little before the clip has all of it

_SNAPSHOT, _CLIP = "snapshot.jpg", "clip.mp4"


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """``segment_s`` of recordings. Incidents that nobody keeps go by age, and the oldest by what their files take."""

    segment_s: float
    max_age_s: float
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Span:
    """What a clip shows, Unix times."""

    begin: float
    end: float


class IncidentMedia:
    """Follows the runner's changes. Runs on the event loop; files are written by threads."""

    def __init__(
        self,
        folder: Path,
        incidents: IncidentStore,
        runner: AlertRunner,
        sources: tuple[Store, Recordings, Supervisor],
        limits: MediaLimits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder.resolve()
        self._incidents, self._runner = incidents, runner
        self._store, self._recordings, self._supervisor = sources
        self._limits = limits
        self._clock, self._ages = clock, AgeClock(wall=clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._put_off: dict[str, float] = {}  # incidents whose recordings could not be reached, until when (monotonic)
        self._looked_at: IncidentRecord | None = None  # the last one; whoever waits long is not to be first for ever
        self._counters = dict.fromkeys(COUNTERS, 0)

    async def open(self) -> None:
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        await self._remove_orphans()
        self._runner.on_change.append(self.on_change)
        self._begin(self._clip_forever(), "clips")
        self._begin(self._retain_forever(), "retention of incidents")

    async def close(self) -> None:
        if self.on_change in self._runner.on_change:
            self._runner.on_change.remove(self.on_change)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def path(self, relative: str) -> Path:
        return self._folder / relative

    def on_change(self, change: Change) -> None:
        if change.kind != "started":
            return
        if len(self._tasks) >= SNAPSHOTS_AT_ONCE + 2:
            self._counters["incident_snapshots_missed_total"] += 1
            return
        incident = change.incident
        self._begin(self._take_snapshot(incident.id, incident.stream_id), f"picture of {incident.id}")

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- pictures

    async def _take_snapshot(self, incident_id: str, stream_id: str) -> None:
        try:
            jpeg = await self._supervisor.snapshot(stream_id, SNAPSHOT_S)
            path = f"{incident_id}/{_SNAPSHOT}"
            await asyncio.to_thread(self._write, path, jpeg)
            await self._incidents.set_snapshot(incident_id, path)
        except (SnapshotUnavailable, OSError, StoreError) as error:
            self._counters["incident_snapshots_missed_total"] += 1
            log.warning("incident %s has no picture: %s", incident_id, error)

    def _write(self, relative: str, content: bytes) -> None:
        path = self.path(relative)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)

    # -- clips

    async def _clip_forever(self) -> None:
        while True:
            try:
                await self._clip_all()
            except (StoreError, OSError) as error:
                log.error("clips wait: %s", error)
            except Exception:  # the task's outermost frame: clips must not end silently
                log.exception("clips failed, trying again")
            await asyncio.sleep(LOOK_S)

    async def _clip_all(self) -> None:
        """The next few. Where the recordings of one cannot be reached now, the others do not wait for it."""
        records = await self._incidents.without_clip(CLIPS_AT_ONCE, self._looked_at)
        self._looked_at = None
        now = time.monotonic()
        self._put_off = {incident: until for incident, until in self._put_off.items() if until > now}
        for record in records:
            self._looked_at = record  # whoever fails is not tried again before the others
            if record.id in self._put_off:
                continue
            try:
                await self.clip(record)
            except Unavailable as error:
                self._put_off[record.id] = time.monotonic() + AGAIN_S
                log.warning("the clip of incident %s waits: %s", record.id, error)
        if len(records) < CLIPS_AT_ONCE:
            self._looked_at = None

    async def clip(self, record: IncidentRecord) -> bool:
        """Cuts an ended incident's clip, or says why there will be none. → False where it still has to wait."""
        span = clip_span(record)
        page = await self._store.list_recordings(
            RecordingFilter((record.stream_id,), span.begin, span.end), ALL, None, 500
        )
        found = sorted(page.items, key=lambda each: each.started_at)
        reason = await self._not_yet(record, found, span)
        if reason is None:
            return False
        if found:
            reason = await self._cut(record, found, span)
        if reason:
            self._counters["incident_clips_missing_total"] += 1
            await self._runner.clip_missing(record, reason)
        return True

    async def _not_yet(self, record: IncidentRecord, found: Sequence[RecordingRecord], span: Span) -> str | None:
        """→ None: its end may still come to the disk; else why it does not, where nothing of it is there."""
        if found and found[-1].ended_at >= span.end - ENOUGH_S:
            return ""
        if self._clock() > span.end + self._limits.segment_s + PATIENCE_S:
            return "nothing was recorded in that time"
        stream = await self._store.get_stream(record.stream_id, ALL)
        if stream is None or not stream.record:
            return "the stream is not recorded"
        return None

    async def _cut(self, record: IncidentRecord, found: Sequence[RecordingRecord], span: Span) -> str:
        """→ why there is no clip, empty where there is one."""
        relative = f"{record.id}/{_CLIP}"
        sources = [Source(self._recordings.path(each.path), each.started_at) for each in found]
        try:
            async with self._recordings.at_hand(found):
                await asyncio.to_thread(cut_clip, sources, span.begin, span.end, self.path(relative))
        except Unavailable:  # also where it is an OSError: a machine that cannot be reached now
            raise
        except (OSError, ValueError) as error:
            log.error("incident %s has no clip: %s", record.id, error)
            return f"it could not be cut: {getattr(error, 'strerror', None) or error}"
        self._counters["incident_clips_total"] += 1
        await self._runner.clip_ready(record, relative)
        return ""

    # -- retention

    async def _retain_forever(self) -> None:
        while True:
            try:
                count = await self.retain(self._ages.now())
                if count:
                    log.info("%d incidents deleted to keep the limits of age and size", count)
            except (StoreError, OSError) as error:
                log.error("incidents could not be deleted: %s", error)
            except Exception:  # the task's outermost frame: a disk must not fill up because of it
                log.exception("retention of incidents failed, trying again")
            await asyncio.sleep(RETENTION_S)

    async def retain(self, now: float) -> int:
        """Deletes what is too old, too many or too much at Unix time ``now``. → how many."""
        ages = await self._incidents.removable()
        sizes = Counter(await asyncio.to_thread(_sizes, self._folder))
        sizes.update(await self._incidents.only_in_bucket())
        doomed = [incident_id for incident_id, at in ages if now - at > self._limits.max_age_s]
        left = [incident_id for incident_id, _ in ages if incident_id not in set(doomed)]
        excess = sum(sizes[incident_id] for incident_id in left) - self._limits.max_bytes
        for place, incident_id in enumerate(left):
            if excess <= 0 and len(left) - place <= MAX_INCIDENTS:
                break
            excess -= sizes[incident_id]
            doomed.append(incident_id)
        return sum([await self._delete(incident_id) for incident_id in doomed])

    async def _delete(self, incident_id: str) -> bool:
        """The row first: files without one are removed by the next start."""
        if not await self._incidents.delete(incident_id):
            return False
        await asyncio.to_thread(shutil.rmtree, self.path(incident_id), True)
        self._counters["incidents_deleted_total"] += 1
        return True

    async def _remove_orphans(self) -> None:
        known = await self._incidents.ids()
        folders = await asyncio.to_thread(lambda: [each for each in self._folder.iterdir() if each.name not in known])
        for folder in folders:
            await asyncio.to_thread(shutil.rmtree, folder, True)

    def measures(self) -> dict[str, Any]:
        """→ a snapshot like ``Measures.snapshot``, for the metrics."""
        return {"counters": dict(self._counters), "gauges": {}, "histograms": {}}


def clip_span(record: IncidentRecord) -> Span:
    """Of a long incident its first minute; before and after as the rule said."""
    before_s, after_s = record.terms.get("clip") or (0.0, 0.0)
    ended_at = record.updated_at if record.ended_at is None else record.ended_at
    return Span(record.started_at - before_s, min(ended_at, record.started_at + MAX_CLIP_S) + after_s)


def _sizes(folder: Path) -> dict[str, int]:
    """→ bytes by incident."""
    folders = [each for each in folder.iterdir() if each.is_dir()]
    return {each.name: sum(_size(file) for file in each.iterdir()) for each in folders}


def _size(file: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


COUNTERS = (
    "incident_snapshots_missed_total",
    "incident_clips_total",
    "incident_clips_missing_total",
    "incidents_deleted_total",
)
