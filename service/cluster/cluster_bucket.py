"""The bucket of a cluster, as its API works with it, and how each node does with it.

The place is the cluster's: whoever leads says it, and a node or an API that is set to another one sends nothing there.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from models.errors import NotStoredError, StoreDamagedError, StoreError
from service.bucket.bucket import HOUR_S, LOOK_S, Bucket, open_parts
from service.bucket.claim import Claimed, claim, read_owner
from service.bucket.copies import ASK_AGAIN_S, LocalCopies
from service.bucket.keys import OWNER_KEY
from service.bucket.parts import Parts
from service.bucket.standing import Standing
from service.errors_base import NotFound, Unavailable
from service.settings import Settings
from service.storage.cluster.nodes import Node
from service.storage.cluster.objects import LeaderObjects
from service.storage.database import Database
from service.storage.objects import WAITING, ObjectRecord, Waiting

log = logging.getLogger(__name__)

ELSEWHERE = "the cluster's recordings are in another bucket than the one that ACTOSCOPE_STORE of this API names"


def open_cluster_bucket(settings: Settings, database: Database, buffer_s: float) -> ClusterBucket | None:
    """→ None unless ACTOSCOPE_STORE is an address of S3. Raises BucketUnusable."""
    objects = LeaderObjects(database)
    parts = open_parts(settings, objects, buffer_s)
    return None if parts is None else ClusterBucket(parts, objects, settings.recordings_local_hours * HOUR_S)


class _Copies(LocalCopies):
    """``check``: whether this is the bucket to fetch from at all. What is on the disk anyway is at hand without it."""

    def __init__(self, parts: Parts, keep_s: float, check: Callable[[], Awaitable[None]]) -> None:
        super().__init__(parts, keep_s)
        self._check = check

    async def fetch(self, record: ObjectRecord) -> None:
        await self._check()
        await super().fetch(record)


class ClusterBucket(Bucket):
    """Of an API that leads; one that stands by reads from it and never begins."""

    def __init__(self, parts: Parts, objects: LeaderObjects, keep_s: float) -> None:
        super().__init__(parts, keep_s, lambda parts: claim_for_all(parts, objects))
        self._objects = objects
        self._copies = _Copies(parts, keep_s, self._check_place)
        self._trouble: Mapping[str, str] = {}
        self._refused = False  # it is not the cluster's

    async def find(self, path: Path) -> ObjectRecord:
        """Raises Unavailable, too, for what is not there yet, or cannot be known here."""
        await self._check_place()
        record = await self.known(path)
        if record is not None and record.state == WAITING:
            raise Unavailable("the file is neither in the bucket yet nor on this machine", ASK_AGAIN_S)
        return await super().find(path)

    async def fetch(self, record: ObjectRecord, path: Path) -> None:
        """Writes the file there, as it was sent. Raises NotFound, Unavailable."""
        await self._check_place()
        try:
            await self._copies.write(record, path)
        except (NotStoredError, StoreDamagedError) as error:
            raise NotFound(f"{record.path} cannot be fetched from the bucket: {error}") from error
        except StoreError as error:
            log.warning("%s cannot be fetched now: %s", record.path, error)
            raise Unavailable("the bucket that recordings are in does not answer now", ASK_AGAIN_S) from error

    async def _check_place(self) -> None:
        """What is not in another bucket is not gone. Raises Unavailable."""
        if self._refused or await self._objects.place() not in ("", self.standing.place):
            raise Unavailable(ELSEWHERE)

    async def _check_claim(self) -> None:
        try:
            await super()._check_claim()
        except Claimed:
            self._refused = True
            raise
        self._refused = False

    async def look(self) -> Standing:
        """One that stands by asks the database: it does not follow what goes on."""
        if self._task is None:
            self.standing.waiting = await self._objects.waiting()
        return self.standing

    async def work(self) -> float:
        if self._claimed and self._is_due("nodes", LOOK_S):
            await self._look_at_nodes()
        return await super().work()

    async def _look_at_nodes(self) -> None:
        place = await self._objects.place()
        nodes, waiting = await self._objects.of_nodes()
        found = {name: trouble_of(node, place, waiting.get(name)) for name, node in nodes.items()}
        for name, words in found.items():
            if words and not self._trouble.get(name):
                log.warning("recordings of node %s do not go to the bucket: %s", name, words)
            elif not words and self._trouble.get(name):
                log.info("recordings of node %s go to the bucket", name)
        self._trouble = found
        self.standing.beside = "; ".join(_briefly(name, waiting.get(name)) for name, words in found.items() if words)


def _briefly(name: str, waiting: Waiting | None) -> str:
    """For everybody: nothing of why."""
    return f"node {name} does not send: {0 if waiting is None else waiting.files} files wait there"


def trouble_of(node: Node, place: str, waiting: Waiting | None) -> str:
    """→ why a node's recordings do not go to ``place``, for the operator; empty where they do."""
    facts = node.facts
    if not place:
        return f"ACTOSCOPE_STORE there is {facts.store}, the cluster has none: nothing is sent" if facts.store else ""
    if not node.alive:
        return f"it is away, and {waiting.files} files wait there" if waiting is not None and waiting.files else ""
    if not facts.store:
        return "ACTOSCOPE_STORE is not set there: its recordings stay there"
    if facts.store != place:
        return f"ACTOSCOPE_STORE there is {facts.store}, the cluster's is {place}: its recordings stay there"
    return facts.store_problem


async def claim_for_all(parts: Parts, objects: LeaderObjects) -> None:
    """The place of this API is that of all nodes, from now on. Raises Claimed, StoreError.

    Where recordings are in the bucket by the database, ``OWNER`` has to be here: else it is another place, or service.
    """
    here, before = parts.standing.place, await objects.place()
    if await objects.any_stored() and not await _is_claimed(parts):
        if before not in ("", here):
            raise Claimed(
                f"ACTOSCOPE_STORE is {here}, the cluster's recordings are in {before}: copy all of it, with "
                f"{OWNER_KEY}, or set that again"
            )
        raise Claimed(
            f"{here} has no {OWNER_KEY}, and recordings by the database: is ACTOSCOPE_S3_ENDPOINT the one of before? "
            f"If it is, that object was deleted: write {await objects.owner_id()} there"
        )
    await claim(parts)
    if before != here:
        await objects.say_place(here)
        log.info("the cluster's recordings go to %s", here)


async def _is_claimed(parts: Parts) -> bool:
    try:
        await parts.hands.do(lambda: read_owner(parts))
    except NotStoredError:
        return False
    return True
