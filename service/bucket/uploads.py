"""Files on their way to the bucket, and objects on their way out of it: one at a time, again until it goes well."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import StoreError, StoreUnavailableError
from models.store.protocol import Stored
from pipeline.files import file_sha256
from service.bucket.keys import key_of
from service.bucket.parts import Parts
from service.storage.objects import DELETING, LONGEST_WAIT_S, WAITING, ObjectRecord, Unknown

log = logging.getLogger(__name__)

AT_ONCE = 200  # files that are written down in one round
FIRST_WAIT_S = 5.0  # after a failure, for that file; twice as long after each further one
LONGEST_PAUSE_S = 60.0  # for all of them, while the bucket is away


@dataclass(frozen=True, slots=True)
class _Look:
    size: int
    mtime: float
    sha256: str = ""


class Uploads:
    """``one`` does the next piece of work. ``end``: what is under way stops after its part."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ending = threading.Event()
        self._failures = 0  # one after another

    def end(self) -> None:
        self._ending.set()

    async def write_down(self) -> None:
        """Files that nobody knows of yet wait from now on."""
        now = self._parts.clock()
        found = await self._parts.objects.unknown(AT_ONCE, now - self._parts.buffer_s)
        if found:
            looks = await asyncio.to_thread(lambda: [_look(self._parts.data_dir / path) for _, path in found])
            node = self._parts.objects.node
            rows = [_waiting(each, look, now, node) for each, look in zip(found, looks, strict=True)]
            await self._parts.objects.add(rows)

    async def one(self) -> float | None:
        """Deletes one object and sends the file that waits longest. → seconds until it is worth trying again, 0 where
        all went well; None: there was nothing to do.
        """
        now, objects = self._parts.clock(), self._parts.objects
        doomed = await objects.next(DELETING, now)
        waiting = await objects.next(WAITING, now)
        went_well = [await self._remove(doomed)] if doomed else []
        if waiting is not None and all(went_well):
            went_well.append(await self._send(waiting))
        self._failures = 0 if all(went_well) else self._failures + 1
        if self._failures:
            return float(min(2 ** min(self._failures, 10), LONGEST_PAUSE_S))
        return 0.0 if went_well else None

    async def _send(self, record: ObjectRecord) -> bool:
        parts, path = self._parts, self._parts.path(record)
        try:
            look, stored = await parts.hands.do(lambda: self._put(record.key, path))
        except FileNotFoundError:
            await self._without_file(record)
            return True
        except (StoreError, OSError) as error:
            await self._put_off(record, "bucket_upload_failures_total")
            parts.standing.failed(str(error))
            return False
        seen = replace(record, bytes=look.size, mtime=look.mtime)
        await parts.objects.stored(seen, look.sha256, stored.tag, parts.clock())
        parts.standing.count("bucket_uploads_total")
        parts.standing.count("bucket_uploaded_bytes_total", look.size)
        parts.standing.went_well()
        return True

    async def _without_file(self, record: ObjectRecord) -> None:
        await self._put_off(record, "bucket_upload_failures_total")
        log.error("%s is not sent: %s", record.path, self._parts.objects.without_file)
        # It was in the bucket, and was to be sent there once more; or only the node that recorded it could have it.
        if record.sha256 or self._parts.objects.node:
            await self._parts.objects.lost(record.key)
            await self._parts.objects.left(record.key)

    def _put(self, key: str, path: Path) -> tuple[_Look, Stored]:
        """On a thread. What it returns was looked at in the bucket: size, sha256 and tag are what was sent."""
        status = path.stat()
        look = _Look(status.st_size, status.st_mtime, file_sha256(path))
        return look, self._parts.store.put(key, path, look.sha256, self._step)

    def _step(self, _: int) -> None:
        if self._ending.is_set():
            raise StoreUnavailableError("the service ends")

    async def _remove(self, record: ObjectRecord) -> bool:
        parts = self._parts
        try:
            await parts.hands.do(lambda: parts.store.delete(record.key))
        except StoreError as error:
            await self._put_off(record, "bucket_deletion_failures_total")
            return self._not_deleted(record, error)
        await parts.objects.forget(record.key)
        parts.standing.count("bucket_deletions_total")
        parts.standing.went_well()
        return True

    def _not_deleted(self, record: ObjectRecord, error: StoreError) -> bool:
        """→ whether other work is worth trying at once: credentials that may not delete do not hold up what is sent."""
        if isinstance(error, StoreUnavailableError):
            self._parts.standing.failed(str(error))
            return False
        if record.attempts == 0:
            log.error("%s was deleted here and stays in the bucket for now: %s", record.path, error)
        return True

    async def _put_off(self, record: ObjectRecord, counter: str) -> None:
        wait_s = min(FIRST_WAIT_S * 2 ** min(record.attempts, 10), LONGEST_WAIT_S)
        await self._parts.objects.put_off(record, self._parts.clock() + wait_s)
        self._parts.standing.count(counter)


def _look(path: Path) -> _Look:
    """Of a file that is gone there is nothing; sending it says so."""
    try:
        status = path.stat()
    except OSError:
        return _Look(0, 0.0)
    return _Look(status.st_size, status.st_mtime)


def _waiting(unknown: Unknown, look: _Look, now: float, node: str) -> ObjectRecord:
    owner, path = unknown
    return ObjectRecord(key_of(path), path, owner, WAITING, look.size, look.mtime, since=now, here_since=now, node=node)
