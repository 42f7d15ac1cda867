"""The bucket held against the rows: objects that are gone are said and sent again, those without a row taken in,
left alone or deleted. Rows are the index; nothing of them is ever read from the bucket but here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from models.errors import StoreError, StoreUnavailableError
from models.store.protocol import Stored
from service.bucket.copies import LocalCopies
from service.bucket.keys import OWNER_KEY, incident_of, is_video, path_of, sidecar_keys_of, video_key_of
from service.bucket.parts import Parts
from service.errors_base import Unavailable
from service.storage.database import StoreError as DatabaseError
from service.storage.objects import DELETING, INCIDENTS, MISSING, RECORDINGS, STORED, ObjectRecord

log = logging.getLogger(__name__)

BATCH = 1000
MOST_STRAYS = 10_000  # of one comparison; the next one finds the rest
_SHOWN = 3


class Adopter(Protocol):
    """Who makes a row for a file that has none; whether it may stay is the business of retention."""

    async def index(self, path: Path) -> str | None:
        """→ the id of the row that the file has from now on; None where it holds nothing that plays."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """``keys``: hashes of those that are as they were sent; a set of the keys themselves would be large."""

    keys: set[int]
    strays: list[Stored]


class Comparison:
    """``run`` finds what differs, ``one_stray`` deals with one object at a time: some have to be read whole."""

    def __init__(self, parts: Parts, copies: LocalCopies, adopter: Adopter) -> None:
        self._parts, self._copies, self._adopter = parts, copies, adopter
        self._strays: deque[Stored] = deque()

    async def run(self) -> None:
        """Raises StoreError where the bucket cannot be listed to its end: nothing is concluded then."""
        began = self._parts.clock()
        seen = _Seen(set(), [])
        for prefix in (RECORDINGS, INCIDENTS):
            listing = self._parts.store.list(prefix)
            while batch := await self._parts.hands.do(lambda: list(islice(listing, BATCH))):  # noqa: B023 - done by then
                await self._look(batch, seen)
        await self._find_missing(seen.keys, began)
        newest_first = sorted(seen.strays, key=lambda stray: stray.key.rpartition("/")[2], reverse=True)
        self._strays = deque(sorted(newest_first, key=lambda stray: not is_video(stray.key)))
        self._parts.standing.compared_at = began

    async def _look(self, batch: list[Stored], seen: _Seen) -> None:
        known = await self._parts.objects.known([found.key for found in batch])
        for found in batch:
            record = known.get(found.key)
            if record is None:
                if found.key != OWNER_KEY and len(seen.strays) < MOST_STRAYS:
                    seen.strays.append(found)
            elif (found.size, found.tag) == (record.bytes, record.tag) or await self._is_a_copy(found, record):
                seen.keys.add(hash(found.key))

    async def _is_a_copy(self, found: Stored, record: ObjectRecord) -> bool:
        """The same content under another tag: somebody has moved the bucket. → whether its row says so now."""
        if found.size != record.bytes or record.state not in (STORED, MISSING):
            return False
        there = await self._parts.hands.do(lambda: self._parts.store.head(found.key))
        same = there is not None and there.sha256 == record.sha256 != ""
        if there is not None and same:
            await self._parts.objects.retag(found.key, there.tag)
        return same

    async def _find_missing(self, seen: set[int], began: float) -> None:
        gone: list[str] = []
        after = ""
        while page := await self._parts.objects.all_after(after, BATCH):
            after = page[-1].key
            for record in (each for each in page if each.state in (STORED, MISSING)):
                if hash(record.key) in seen:
                    await self._is_there(record)
                elif (record.stored_at or 0.0) < began and await self._is_gone(record):
                    gone.append(record.key)
        if gone:
            shown = ", ".join(gone[:_SHOWN]) + (", …" if len(gone) > _SHOWN else "")
            log.error(
                "%d files are not in %s any more, and nowhere else: %s", len(gone), self._parts.standing.place, shown
            )

    async def _is_there(self, record: ObjectRecord) -> None:
        if record.state == MISSING:
            await self._parts.objects.found(record.key)
            log.info("%s is in the bucket again", record.key)

    async def _is_gone(self, record: ObjectRecord) -> bool:
        """→ whether it is lost; where there is a local copy it is sent again."""
        return not await self._copies.send_again(record) and record.state == STORED

    # -- objects without a row

    async def one_stray(self) -> bool:
        """→ False where none is left. Raises StoreUnavailableError, Unavailable and the database's StoreError; it is
        the next one again then. After anything unexpected, which is raised too, it is the last.
        """
        if not self._strays:
            return False
        stray = self._strays.popleft()
        try:
            known = await self._parts.objects.known([stray.key, video_key_of(stray.key)])
            if stray.key not in known:
                await self._deal_with(stray, known)
        except (StoreUnavailableError, Unavailable, DatabaseError):
            self._strays.appendleft(stray)
            raise
        except (StoreError, OSError) as error:
            self._leave(stray, str(error))
        except Exception:
            self._strays.append(stray)
            raise
        return True

    async def _deal_with(self, stray: Stored, known: dict[str, ObjectRecord]) -> None:
        path = path_of(stray.key)
        if path is None:
            self._leave(stray, "it is not ours")
        elif incident_of(stray.key) is not None:
            await self._take_incident_in(stray, path)
        elif not is_video(stray.key):
            video = known.get(video_key_of(stray.key))
            if video is not None and video.state != DELETING:
                self._leave(stray, "its recording has no messages by its row")
            elif await self._record_of(video_key_of(stray.key), path) is None:
                await self._delete(stray, "it belongs to no recording")
        elif await self._parts.objects.is_doomed(path):
            await self._delete(stray, "its recording was deleted while it was on its way")
        else:
            await self._take_recording_in(stray, path)

    def _leave(self, stray: Stored, why: str) -> None:
        log.warning("%s has no row and is left alone: %s", stray.key, why)

    async def _delete(self, stray: Stored, why: str) -> None:
        await self._parts.hands.do(lambda: self._parts.store.delete(stray.key))
        self._parts.standing.count("bucket_strays_deleted_total")
        log.warning("%s had no row and is deleted: %s", stray.key, why)

    async def _take_incident_in(self, stray: Stored, path: str) -> None:
        owner = incident_of(stray.key)
        if owner is None or owner not in await self._parts.objects.incident_ids():
            self._leave(stray, "there is no incident that it belongs to")  # evidence: the database may be a new one
            return
        record = await self._record_of(stray.key, path)
        if record is None or not record.sha256:
            self._leave(stray, "nobody says what its sha256 is")
        else:
            await self._adopt(owner, [record])

    async def _take_recording_in(self, stray: Stored, path: str) -> None:
        """The file comes here, since nothing but itself says how long it is and what is in it."""
        keys = (stray.key, *sidecar_keys_of(stray.key))
        records = [await self._record_of(key, path_of(key) or key) for key in keys]
        there = [record for record in records if record is not None]
        if not there or there[0].key != stray.key or not all(record.sha256 for record in there):
            self._leave(stray, "nobody says what its sha256 is")
            return
        for record in there:
            await self._copies.fetch(record)
        owner = await self._adopter.index(self._parts.data_dir / path)
        if owner is None:
            self._leave(stray, "it holds nothing that plays")
        else:
            await self._adopt(owner, there)

    async def _record_of(self, key: str, path: str) -> ObjectRecord | None:
        """→ None where it is not in the bucket."""
        found = await self._parts.hands.do(lambda: self._parts.store.head(key))
        if found is None:
            return None
        return ObjectRecord(key, path, "", STORED, found.size, 0.0, found.sha256, found.tag)

    async def _adopt(self, owner: str, records: list[ObjectRecord]) -> None:
        now = self._parts.clock()
        looks = await asyncio.to_thread(lambda: [_look(self._parts.path(record)) for record in records])
        dated = [replace(record, owner=owner, since=now, stored_at=now, here_since=now) for record in records]
        await self._parts.objects.adopt(
            [
                replace(record, mtime=mtime or now, here=mtime is not None)
                for record, mtime in zip(dated, looks, strict=True)
            ]
        )
        self._parts.standing.count("bucket_adopted_total", len(records))
        log.warning("%s had no row and is taken in: it belongs to %s", records[0].key, owner)


def _look(path: Path) -> float | None:
    """→ when the local copy was written; None where there is none."""
    return path.stat().st_mtime if path.is_file() else None
