"""Local copies of what is in the bucket: made again where files are worked on, gone some hours after they were sent."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from models.errors import NotStoredError, StoreDamagedError, StoreError
from service.bucket.hands import Hands
from service.bucket.parts import Parts
from service.errors_base import Unavailable
from service.storage.objects import STORED, ObjectRecord

log = logging.getLogger(__name__)

AT_ONCE = 500  # copies that are looked at in one round
OWNERS_AT_ONCE = 500
ASK_AGAIN_S = 30  # where files could not be fetched
_MB = 1_000_000


class LocalCopies:
    """``keep_s``: how long a copy stays once all of its recording or incident is in the bucket."""

    def __init__(self, parts: Parts, keep_s: float) -> None:
        self._parts, self._keep_s = parts, keep_s
        self._hands = Hands("bucket-fetch", 1, niceness=5)
        self._pins: Counter[str] = Counter()
        self._fetching = asyncio.Lock()
        self.may_go = False  # once the bucket is known to be ours
        self.on_left: Callable[[str], None] = lambda path: None  # with the path of a copy that is gone

    @asynccontextmanager
    async def at_hand(self, owners: Sequence[str]) -> AsyncIterator[None]:
        """All files of these recordings are on this disk meanwhile, but for those that are nowhere any more.

        Raises Unavailable where the bucket does not answer or the disk has no room.
        """
        records: list[ObjectRecord] = []
        for first in range(0, len(owners), OWNERS_AT_ONCE):
            records += await self._parts.objects.of(owners[first : first + OWNERS_AT_ONCE])
        self._pins.update(record.key for record in records)
        try:
            for record in records:
                await self._have(record)
            yield
        finally:
            self._pins.subtract(record.key for record in records)
            self._pins = +self._pins

    async def _have(self, record: ObjectRecord) -> None:
        if await self._is_here(record):
            return
        async with self._fetching:  # one at a time, and none twice
            try:
                if not await self._is_here(record):
                    await self.fetch(record)
            except (NotStoredError, StoreDamagedError) as error:
                log.error("%s cannot be fetched: %s", record.path, error)
            except StoreError as error:
                log.warning("%s cannot be fetched now: %s", record.path, error)
                raise Unavailable("the bucket that recordings are in does not answer now", ASK_AGAIN_S) from error

    async def _is_here(self, record: ObjectRecord) -> bool:
        """Or is in no bucket either."""
        return record.state != STORED or await asyncio.to_thread(self._parts.path(record).is_file)

    async def fetch(self, record: ObjectRecord) -> None:
        """Older copies make room for it. Raises StoreError (NotStoredError, StoreDamagedError), and Unavailable where
        the disk has none.
        """
        parts, path = self._parts, self._parts.path(record)
        await self.make_room(record.bytes, self._hands)
        free = await asyncio.to_thread(self._free)
        if free - record.bytes < parts.floor_bytes:
            raise Unavailable(
                f"the disk has no room for a recording from the bucket: {free // _MB} MB are free, "
                f"{(parts.floor_bytes + record.bytes) // _MB} MB are needed",
                ASK_AGAIN_S,
            )
        await self.write(record, path)
        await parts.objects.fetched(record.key, parts.clock())

    async def write(self, record: ObjectRecord, path: Path) -> None:
        """Of no copy that is looked after here: whoever asked for it does. Raises StoreError, OSError."""
        await self._hands.do(lambda: self._write(record, path))
        self._parts.standing.count("bucket_fetched_total")

    def _write(self, record: ObjectRecord, path: Path) -> None:
        self._parts.store.fetch(record.key, path, record.sha256)
        if record.mtime:  # else it is not known yet
            os.utime(path, (record.mtime, record.mtime))  # an answer's tag is made of it

    async def age_out(self) -> None:
        """Takes away what is old enough, having looked once more whether it is in the bucket. Raises StoreError."""
        for record in await self._parts.objects.aged(self._parts.clock() - self._keep_s, AT_ONCE):
            if await self._is_there(record, self._parts.hands):
                await self._leave(record)

    async def make_room(self, need: int = 0, hands: Hands | None = None) -> None:
        """Where the disk is nearly full copies go before their time, the oldest first, so that recording goes on: so
        many that it is not full again with the next file. ``need``: bytes that are to be free besides.

        Looks before as ``age_out`` does, by ``hands``. Raises StoreError.
        """
        floor = self._parts.floor_bytes
        if not self.may_go or await asyncio.to_thread(self._free) >= floor + need:
            return
        for record in await self._parts.objects.aged(self._parts.clock(), AT_ONCE):
            if await asyncio.to_thread(self._free) >= floor + floor // 2 + need:
                return
            if record.key not in self._pins and await self._is_there(record, hands or self._parts.hands):
                await self._leave(record)

    async def _is_there(self, record: ObjectRecord, hands: Hands) -> bool:
        """Looks once more: a rule of the bucket, or a person, may have deleted it. Then it is sent again. The same
        content under another tag: somebody has moved the bucket.
        """
        parts = self._parts
        found = await hands.do(lambda: parts.store.head(record.key))
        if found is not None and found.size == record.bytes:
            if found.tag == record.tag:
                return True
            if found.sha256 == record.sha256 != "":
                await parts.objects.retag(record.key, found.tag)
                return True
        if not await self.send_again(record):
            log.error("%s is not in %s any more, and nowhere else", record.key, parts.standing.place)
        return False

    async def send_again(self, record: ObjectRecord) -> bool:
        """→ False where there is no copy of what is not in the bucket as it was sent: it is lost. A node that has one
        sends it, and says so where it has not."""
        parts = self._parts
        mine = record.node == parts.objects.node
        if await (asyncio.to_thread(parts.path(record).is_file) if mine else parts.objects.can_send(record)):
            log.error("%s is not in the bucket any more as it was sent: it is sent again", record.key)
            await parts.objects.send_again(record.key, parts.clock())
            return True
        await parts.objects.lost(record.key)
        await parts.objects.left(record.key)
        return False

    def _free(self) -> int:
        return shutil.disk_usage(self._parts.data_dir).free

    async def _leave(self, record: ObjectRecord) -> None:
        """Not on a thread: nobody can ask for the file between the look at who needs it and its end."""
        if record.key in self._pins:
            return
        self._parts.path(record).unlink(missing_ok=True)
        await self._parts.objects.left(record.key)
        self.on_left(record.path)
        self._parts.standing.count("bucket_copies_removed_total")
