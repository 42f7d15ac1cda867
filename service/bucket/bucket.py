"""The bucket that recordings are kept in: one background worker, and what others ask of it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from models.errors import NotStoredError, StoreError, StoreUnavailableError
from models.store.address import Address, parse_place
from models.store.opening import open_store
from service.bucket.claim import Claim, Claimed, claim
from service.bucket.comparison import Adopter, Comparison
from service.bucket.copies import LocalCopies
from service.bucket.hands import Hands
from service.bucket.keys import key_of
from service.bucket.parts import Parts
from service.bucket.standing import Standing
from service.bucket.uploads import Uploads
from service.errors_base import NotFound, ServiceError, Unavailable
from service.settings import Settings
from service.storage.database import Database
from service.storage.database import StoreError as DatabaseError
from service.storage.objects import STORED, ObjectRecord, ObjectStore

log = logging.getLogger(__name__)

LOOK_S = 5.0  # for new files
COPIES_S = 60.0  # from one look at local copies to the next
COMPARE_S = 86_400.0
COMPARE_AGAIN_S = 600.0  # where the bucket could not be listed
READERS = 4
NICENESS = 15
FIRST_BLOCK, BLOCK = 1 << 18, 1 << 21
HOUR_S = 3600.0


class BucketUnusable(ServiceError, RuntimeError):
    """ACTOSCOPE_STORE names a bucket that this installation cannot speak to."""


def open_bucket(settings: Settings, database: Database, buffer_s: float) -> Bucket | None:
    """→ None unless ACTOSCOPE_STORE is an address of S3. Nothing is asked of it yet. Raises BucketUnusable.

    ``buffer_s``: how long what only incidents may need is kept.
    """
    parts = open_parts(settings, ObjectStore(database), buffer_s)
    return None if parts is None else Bucket(parts, settings.recordings_local_hours * HOUR_S)


def open_parts(settings: Settings, objects: ObjectStore, buffer_s: float) -> Parts | None:
    """→ what a bucket is made of, likewise."""
    place = parse_place(settings.store) if settings.store else None
    if not isinstance(place, Address):
        return None
    try:
        store = open_store(place, settings.s3_endpoint)
    except StoreError as error:
        raise BucketUnusable(f"ACTOSCOPE_STORE: {error}") from error
    data_dir, floor = settings.data_dir.resolve(), settings.extras_min_free_bytes
    hands = Hands("bucket", 1, NICENESS)
    return Parts(store, objects, data_dir, Standing(str(place)), hands, floor, 2 * buffer_s)


class Bucket:
    """Runs on the event loop; calls to the bucket and the disk are made by threads. ``claim``: whether it is ours."""

    claim_again_s = math.inf  # whose it is does not change while this runs

    def __init__(self, parts: Parts, keep_s: float, claim: Claim = claim) -> None:
        self.standing = parts.standing
        self._parts = parts
        self._claim_it = claim
        self._uploads, self._copies = Uploads(parts), LocalCopies(parts, keep_s)
        self._readers = Hands("bucket-read", READERS)
        self._comparison: Comparison | None = None
        self._claimed = False
        self._due: dict[str, float] = {}  # monotonic, of what is done from time to time
        self._task: asyncio.Task[None] | None = None

    def take(self, adopter: Adopter) -> None:
        """What is there without a row is for ``adopter``; nobody looks before."""
        self._comparison = Comparison(self._parts, self._copies, adopter)

    def begin(self) -> None:
        """From now on files are sent. The rows must be in order."""
        self._task = asyncio.create_task(self._work_forever(), name="bucket")

    async def close(self) -> None:
        """Does not wait for the bucket: what is under way is done again by the next start."""
        self._uploads.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    # -- what others ask

    async def find(self, path: Path) -> ObjectRecord:
        """→ what the file of the data folder is in the bucket. Raises NotFound."""
        record = await self.known(path)
        if record is None or record.state != STORED:
            raise NotFound("the file is gone" + ("" if record is None else ", also from the bucket that it was in"))
        return record

    async def known(self, path: Path) -> ObjectRecord | None:
        """→ what is known of a file of the data folder, also before it is in the bucket."""
        relative = self._parts.relative(path)
        return None if relative is None else await self._parts.objects.get(key_of(relative))

    async def read(self, record: ObjectRecord, first: int, last: int) -> bytes:
        """→ these bytes, both ends included. Raises NotFound, and Unavailable where the bucket does not give them."""
        try:
            return await self._readers.do(lambda: self._read(record, first, last))
        except NotStoredError as error:
            log.error("%s is not in the bucket any more", record.key)
            raise NotFound("the file is gone, also from the bucket that it was in") from error
        except StoreError as error:
            self.standing.count("bucket_read_failures_total")
            log.warning("%s cannot be read from the bucket: %s", record.key, error)
            raise Unavailable("the bucket that this is in does not answer now", 10) from error

    async def blocks(self, record: ObjectRecord, first: int, last: int) -> AsyncIterator[bytes]:
        """→ the same, block by block: nothing waits in the bucket's connection for a client that is slow."""
        size = FIRST_BLOCK
        while first <= last:
            block = await self.read(record, first, min(first + size - 1, last))
            yield block
            first, size = first + len(block), BLOCK

    def _read(self, record: ObjectRecord, first: int, last: int) -> bytes:
        """What breaks off in the middle goes on there, once."""
        content = bytearray()
        try:
            for block in self._parts.store.stream(record.key, first, last, record.tag):
                content += block
        except StoreUnavailableError:
            if not content:
                raise
        if len(content) <= last - first:
            for block in self._parts.store.stream(record.key, first + len(content), last, record.tag):
                content += block
        if len(content) != last - first + 1:
            raise StoreUnavailableError(f"expected {last - first + 1} bytes, got {len(content)}")
        return bytes(content)

    def at_hand(self, owners: Sequence[str]) -> AbstractAsyncContextManager[None]:
        """All files of these recordings are on the disk meanwhile. Raises Unavailable."""
        return self._copies.at_hand(owners)

    async def look(self) -> Standing:
        """→ how it does now."""
        return self.standing

    def measures(self) -> dict[str, Any]:
        return self.standing.measures()

    # -- the worker

    async def _work_forever(self) -> None:
        while True:
            pause_s = LOOK_S
            try:
                pause_s = await self.work()
            except Claimed as error:
                self.standing.failed(str(error))
                pause_s = COPIES_S
            except (StoreError, Unavailable) as error:
                self.standing.failed(str(error))
            except (DatabaseError, OSError) as error:
                log.error("what is in the bucket cannot be followed now: %s", error)
            except Exception:  # the task's outermost frame: files must not wait for ever, silently
                log.exception("the bucket's worker failed, trying again")
            await asyncio.sleep(pause_s)

    async def work(self) -> float:
        """One round. → seconds until the next one. Raises StoreError, Unavailable."""
        if self._is_due("look", LOOK_S):
            await self._uploads.write_down()
            self.standing.waiting = await self._parts.objects.waiting()
        if not self._claimed:
            await self._claim()
        elif self._is_due("claim", self.claim_again_s):
            await self._check_claim()
        if self._is_due("room", COPIES_S):
            await self._copies.make_room()
        pause_s = await self._uploads.one()
        if pause_s:
            return pause_s
        if pause_s is None and self.standing.failing_since is not None:
            await self._claim()  # what waits may wait for long: whether the bucket is back is asked so
        return 0.0 if await self._beside() or pause_s == 0.0 else LOOK_S

    async def _claim(self) -> None:
        await self._check_claim()
        self.standing.went_well()

    async def _check_claim(self) -> None:
        try:
            await self._claim_it(self._parts)
        except Claimed:
            self._claimed = self._copies.may_go = False
            raise
        self._claimed = self._copies.may_go = True
        self._put_off("claim", self.claim_again_s)

    async def _beside(self) -> bool:
        """What is not urgent. → whether there is more of it."""
        if self._comparison is not None and self._is_due("comparison", COMPARE_AGAIN_S):
            await self._comparison.run()
            self._put_off("comparison", COMPARE_S)
        if self._is_due("copies", COPIES_S):
            await self._copies.age_out()
        if self._comparison is None:
            return False
        return self._is_due("strays", 0.0) and await self._one_stray(self._comparison)

    async def _one_stray(self, comparison: Comparison) -> bool:
        try:
            return await comparison.one_stray()
        except Unavailable as error:  # the disk is nearly full
            log.warning("objects without a row wait: %s", error)
        except (StoreError, DatabaseError):
            raise
        except Exception:  # of one object: neither the others nor what is recorded wait for it
            log.exception("an object without a row could not be looked at, it is tried again later")
        self._put_off("strays", COMPARE_AGAIN_S)
        return False

    def _is_due(self, what: str, period_s: float) -> bool:
        """→ whether it is time for it; then it is again ``period_s`` later."""
        due = self._parts.monotonic() >= self._due.get(what, 0.0)
        if due:
            self._put_off(what, period_s)
        return due

    def _put_off(self, what: str, seconds: float) -> None:
        self._due[what] = self._parts.monotonic() + seconds
