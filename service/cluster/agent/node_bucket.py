"""The cluster's bucket, as a node works with it: what it recorded is sent by itself, and its copies age out here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from models.errors import NotStoredError, StoreError
from service.bucket.bucket import COPIES_S, HOUR_S, Bucket, open_parts
from service.bucket.claim import Claimed, check, read_owner
from service.bucket.copies import AT_ONCE
from service.bucket.keys import key_of, sidecar_keys_of
from service.bucket.parts import Parts
from service.errors_base import Unavailable
from service.settings import Settings
from service.storage.cluster.objects import NodeObjects
from service.storage.objects import RECORDINGS


def open_node_bucket(settings: Settings, objects: NodeObjects, buffer_s: float) -> NodeBucket | None:
    """→ None unless ACTOSCOPE_STORE is an address of S3. Raises BucketUnusable."""
    parts = open_parts(settings, objects, buffer_s)
    return None if parts is None else NodeBucket(parts, objects, settings.recordings_local_hours * HOUR_S)


class NodeBucket(Bucket):
    """It deletes nothing there but what came too late, and compares nothing: that is the leader's."""

    claim_again_s = COPIES_S  # whoever leads may have another place by now

    def __init__(self, parts: Parts, objects: NodeObjects, keep_s: float) -> None:
        super().__init__(parts, keep_s, lambda parts: claim_of_cluster(parts, objects))
        self._objects = objects
        self._offered = ""  # the last key that was looked at; empty: anew

    def on_left(self, hear: Callable[[str], None]) -> None:
        """``hear`` is told the path of each copy that is gone, relative to the folder of recordings."""
        self._copies.on_left = lambda path: hear(path.removeprefix(f"{RECORDINGS}/"))

    async def _beside(self) -> bool:
        if self._is_due("missing", COPIES_S):
            await self._offer_missing()
        return await super()._beside()

    async def _offer_missing(self) -> None:
        """What is in no bucket any more, and still here: this node was away, or forgotten, when that was noticed."""
        found = await self._objects.missing_here(AT_ONCE, self._offered)
        self._offered = found[-1].key if len(found) == AT_ONCE else ""
        for record in found:
            if await asyncio.to_thread(self._parts.path(record).is_file):
                await self._copies.send_again(record)

    async def remove(self, path: str) -> bool:
        """Deletes what came to the bucket of a recording that was deleted while it was sent. → whether that is done."""
        if not self._claimed:
            return False
        key = key_of(f"{RECORDINGS}/{path}")
        try:
            for each in (key, *sidecar_keys_of(key)):
                await self._parts.hands.do(lambda each=each: self._parts.store.delete(each))  # type: ignore[misc]
        except (StoreError, Unavailable) as error:
            self.standing.failed(str(error))
            return False
        return True


async def claim_of_cluster(parts: Parts, objects: NodeObjects) -> None:
    """A node never claims a place: it has to be the one that the leader did. Raises Claimed, StoreError."""
    here, place = parts.standing.place, await objects.place()
    if not place:
        raise Claimed("no API that leads the cluster has claimed a bucket: ACTOSCOPE_STORE has to be set there, too")
    if place != here:
        raise Claimed(f"ACTOSCOPE_STORE of this node is {here}, the cluster's is {place}")
    try:
        there = await parts.hands.do(lambda: read_owner(parts))
    except NotStoredError as error:
        raise Claimed(f"{here} is not the cluster's: is ACTOSCOPE_S3_ENDPOINT the same as that of the API?") from error
    check(parts, there, await objects.owner_id())
