"""Recorded files and their rows in step: one owner of the data folder, repair at start, deletion, retention.

``segment_files.py`` has the commit order of files; the row comes last. A deletion takes the file first and then the
row: if the power fails in between, the next start finishes it, where the other order would bring the recording back.
What is in the bucket is marked before, and goes after the row, whenever the bucket can be reached.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.bucket.bucket import Bucket
from service.errors_base import NotFound, Unavailable
from service.recording.adoption import Adoption
from service.recording.age_clock import AgeClock
from service.recording.locks import POLL_S, FolderLock, LocksNotKept, remove_unused
from service.recording.retention import Limits, began, removable
from service.recording.room_watch import RoomWatch
from service.recording.segment_files import (
    PART,
    discard,
    read_segment,
    remove_sidecars_without_video,
    salvage,
)
from service.storage.database import StoreError
from service.storage.objects import LOCAL
from service.storage.records import RecordingRecord
from service.storage.segment import Needed, Segment
from service.storage.store import Store
from service.subscription import rung

log = logging.getLogger(__name__)

WRITERS_S = 6.0  # stream processes that outlive a killed service finish their files within about 4 s
CLOSE_S = 2.0  # a repair that takes longer is done by the next start
RETENTION_PERIOD_S = 60.0
HELD_BACK_S = 600.0  # so long retention waits for alerts to have read what happened while the service was away
DAY_S = 86_400.0
GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Repair:
    """What a start had to do."""

    adopted: int = 0  # files that had no row, open ones included
    forgotten: int = 0  # rows whose file is gone


class Recordings:
    """The recordings folder, ``<folder>/<stream id>/<time>.mp4``, together with its rows.

    ``bucket``: where files go as well, None where there is none.
    """

    def __init__(self, folder: Path, store: Store, retention: Limits, bucket: Bucket | None = None) -> None:
        self._folder = folder.resolve()
        self._store = store
        self.bucket = bucket
        self._retention = retention
        self._task: asyncio.Task[None] | None = None
        self._clock = AgeClock()
        self._room = RoomWatch(retention.max_bytes)
        self.also_needed: list[Callable[[], Awaitable[Sequence[Needed]]]] = []  # asked before anything is deleted
        self._repairs: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Repairs what a crash left. Nobody may be recording yet."""
        repair = await self.reconcile()
        if repair != Repair():
            log.warning(
                "recordings: %d files indexed, %d entries without a file removed", repair.adopted, repair.forgotten
            )
        if self.bucket is not None:
            self.bucket.take(Adoption(self._store))
            self.bucket.begin()

    def begin_retention(self, ready: asyncio.Event) -> None:
        """Keeps the limits from time to time, once ``ready`` is set: before that nobody knows what incidents need."""
        self._task = asyncio.create_task(self._retain_forever(ready), name="retention")

    async def close(self) -> None:
        if self.bucket is not None:
            await self.bucket.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._repairs:
            await asyncio.wait(self._repairs, timeout=CLOSE_S)

    def on_stream(self, message: Mapping[str, Any]) -> None:
        """Hears of each state of a stream: a process that is gone may have left a file open, or finished and untold."""
        if message["code"] in ("crashed", "crash_loop") or message["state"] == "stopped":
            task = asyncio.create_task(self._repair(str(message["stream_id"])), name="repair of recordings")
            self._repairs.add(task)
            task.add_done_callback(self._repairs.discard)

    def path(self, relative: str) -> Path:
        return self._folder / relative

    @asynccontextmanager
    async def at_hand(self, records: Sequence[RecordingRecord]) -> AsyncIterator[None]:
        """All files of these recordings are on this disk meanwhile, wherever they lie, but for those that are nowhere
        any more. Raises Unavailable where that cannot be now.
        """
        if self.bucket is None:
            yield
            return
        async with self.bucket.at_hand([record.id for record in records]):
            yield

    async def find(self, record: RecordingRecord, relative: str) -> Path:
        """→ where one of its files is, or would be if it were not in the bucket alone: whoever shows it reads it there.

        Raises NotFound, Unavailable.
        """
        path = self.path(relative)
        if await asyncio.to_thread(path.is_file) or (record.place != LOCAL and self.bucket is not None):
            return path
        if record.place != LOCAL:
            raise Unavailable("this recording is in a bucket, and this service has none: ACTOSCOPE_STORE names none")
        raise NotFound("the file of this recording is gone")

    def is_kept(self, record: RecordingRecord) -> bool:
        """Whether its video is somewhere, as far as is known here."""
        return record.place != LOCAL or self.path(record.path).is_file()

    async def delete(self, record: RecordingRecord) -> None:
        """Raises OSError when the files cannot be removed; the row stays then."""
        if self.bucket is not None or record.place != LOCAL:
            await self._store.doom_recording(record.id)
        await asyncio.to_thread(self._discard, self.path(record.path))
        await self._store.delete_recording(record.id)

    @staticmethod
    def _discard(path: Path) -> None:
        if path.parent.is_dir():
            discard(path)

    async def reconcile(self) -> Repair:
        """A row for every file that plays, a file for every row."""
        records = await self._store.all_recordings()
        known = {self.path(record.path) for record in records}
        deadline_s = time.monotonic() + WRITERS_S
        found: list[Segment] = []
        for folder in sorted(path for path in self._folder.glob("*") if path.is_dir()):
            found += await self._without_row(folder, known, deadline_s)
        await self._index(found)
        doomed = await self._store.doomed_recordings()
        gone = [record for record in records if record.id in doomed or not self.is_kept(record)]
        for record in gone:
            if record.id in doomed:
                await asyncio.to_thread(self._discard, self.path(record.path))
            await self._store.delete_recording(record.id)
        await asyncio.to_thread(remove_unused, self._folder, await self._store.stream_ids())
        return Repair(len(found), len(gone))

    async def _without_row(self, folder: Path, known: set[Path], deadline_s: float) -> list[Segment]:
        """→ one stream's files that have no row; those that were left open are finished."""
        async with alone_with(folder, deadline_s) as alone:
            return await asyncio.to_thread(lambda: list(segments_without_row(folder, known, alone)))

    async def _index(self, found: list[Segment]) -> None:
        """Of all streams together, oldest first: in this order they are deleted."""
        for segment in sorted(found, key=began):
            await self._store.add_recording(segment)

    async def _repair(self, stream_id: str) -> None:
        """At once, not at the next start: a camera's process may crash often in the months between."""
        folder = self.path(stream_id)
        try:
            if not await asyncio.to_thread(folder.is_dir):
                return
            known = {self.path(path) for path in await self._store.recording_paths(stream_id)}
            found = await self._without_row(folder, known, deadline_s=0.0)
            await self._index(found)
        except (OSError, StoreError) as error:
            log.error("recordings of stream %s are left for the next start: %s", stream_id, error)
            return
        if found:
            log.warning(
                "stream %s: %d recordings that its process left are finished and indexed", stream_id, len(found)
            )

    async def retain(self, now: float) -> int:
        """Deletes what is too old or too much at Unix time ``now``, and what no incident needs. → how many."""
        by_path = {self.path(record.path): record for record in await self._store.all_recordings()}
        segments = [self._to_segment(record) for record in by_path.values()]
        places = {path: place for place, path in enumerate(by_path)}
        needed = [*await self._store.needed_recordings()]
        for ask in self.also_needed:
            needed += await ask()
        only = await self._store.recorded_for_incidents()
        removals = await asyncio.to_thread(
            removable, segments, self._retention, now, needed, only, lambda segment: places[segment.path]
        )
        deleted, left = 0, None
        for segment in list(removals):
            try:
                await self.delete(by_path[segment.path])
                deleted += 1
            except OSError as error:  # one that cannot be deleted now holds up no other
                left = error
        if left is None:
            self._room.take(removals)
        else:
            log.error("recordings that are to go stay for now: %s", left)
        return deleted

    @property
    def problem(self) -> str:
        """What an operator should know of the room on the disk; empty where all is well."""
        return self._room.problem

    def measures(self) -> dict[str, Any]:
        """→ a snapshot like ``Measures.snapshot``, for the metrics."""
        own = self._room.measures()
        of_bucket = {} if self.bucket is None else self.bucket.measures()
        return {kind: {**values, **of_bucket.get(kind, {})} for kind, values in own.items()}

    def _to_segment(self, record: RecordingRecord) -> Segment:
        return Segment(
            self.path(record.path),
            None if record.events_path is None else self.path(record.events_path),
            record.started_at,
            record.start_s,
            record.duration_s,
            record.frames,
            record.bytes,
            (record.height, record.width),
            stream_id=record.stream_id,
        )

    async def _retain_forever(self, ready: asyncio.Event) -> None:
        await rung(ready, HELD_BACK_S)
        while True:
            try:
                count = await self.retain(self._clock.now())
                if count:
                    log.info("%d recordings deleted to keep the limits of age and size", count)
            except (OSError, StoreError) as error:
                log.error("recordings could not be deleted: %s", error)
            await asyncio.sleep(RETENTION_PERIOD_S)


@asynccontextmanager
async def alone_with(folder: Path, deadline_s: float) -> AsyncIterator[bool]:
    """Waits until no process writes this stream's recordings. → False if one still does at ``deadline_s``.

    After a kill of the service its stream processes live on for seconds.
    """
    lock, began_s = FolderLock(folder), time.monotonic()
    try:
        alone = _acquire(lock)
        waits = not alone
        while not alone and time.monotonic() < deadline_s:
            await asyncio.sleep(POLL_S)
            alone = _acquire(lock)
        waited_s = time.monotonic() - began_s
        if not alone:
            log.error("a process still records after %.1f s: files that are not finished stay as they are", waited_s)
        elif waits:
            log.warning("waited %.1f s for stream processes of an earlier run to finish their recordings", waited_s)
        yield alone
    finally:
        lock.release()


def _acquire(lock: FolderLock) -> bool:
    try:
        return lock.acquire()
    except LocksNotKept as error:
        log.error("%s", error.strerror)
        return True  # nobody records there: the recorder refuses as well


def segments_without_row(folder: Path, known: set[Path], alone: bool) -> Iterator[Segment]:
    """One stream's. Reads only files that are not indexed: with thousands of recordings a start must stay quick.

    Unless ``alone``, somebody may write to ``.part`` files still: repairing one under its writer would destroy it.
    """
    for part in sorted(folder.glob(f"*.mp4{PART}")) if alone else ():
        segment = _read(part.with_name(part.name.removesuffix(PART)), open_file=True)
        if segment is not None and segment.path not in known:
            yield segment
            known.add(segment.path)
    for video in sorted(folder.glob("*.mp4")):
        segment = None if video in known else _read(video, open_file=False)
        if segment is not None:
            yield segment
    if alone:
        _remove_leftovers(folder)


def _read(path: Path, open_file: bool) -> Segment | None:
    try:
        return salvage(path) if open_file else read_segment(path)
    except (OSError, ValueError) as error:
        log.error("recording left alone: %s", error)
        return None


def _remove_leftovers(folder: Path) -> None:
    """Left by a deletion that was broken off after the video was gone; and copies that a repair was broken off at."""
    for copy in folder.glob(f"*{PART}.*"):
        copy.unlink(missing_ok=True)
    remove_sidecars_without_video(folder)
