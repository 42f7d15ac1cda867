"""Recordings that nodes made: their rows are here, their files on the node, in the bucket, or in both.

Whoever wants to see one gets it from its node while the copy is there, else from the bucket. What was fetched is kept
in this machine's folder of recordings as a cache; pieces come by ranges of bytes: neither side holds a file in memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.cluster.cluster_bucket import ClusterBucket
from service.cluster.fetched_files import FetchedFiles
from service.cluster.links.errors import CallFailed, LinkDown
from service.cluster.links.link import Links, ask
from service.cluster.links.messages import Discard, Done, Piece, WantPiece
from service.cluster.whereabouts import Whereabouts, key_of, read_whereabouts
from service.errors_base import NotFound, Unavailable
from service.recording.adoption import Adoption
from service.recording.reconcile import Recordings
from service.recording.retention import Limits
from service.storage.cluster import nodes
from service.storage.cluster.objects import GOING, doom_at_node
from service.storage.database import Database
from service.storage.records import RecordingRecord
from service.storage.segment import Segment
from service.storage.store import Store

log = logging.getLogger(__name__)

PIECE_BYTES = 1 << 20
FETCHES = 4  # at once


@dataclass(frozen=True, slots=True)
class Ways:
    """How the API that leads reaches nodes. ``leader``: the epoch that orders to delete are given under."""

    database: Database
    links: Links
    leader: int


class RemoteRecordings(Recordings):
    """``fetched``: what of them is on this disk."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        retention: Limits,
        ways: Ways,
        fetched: FetchedFiles,
        bucket: ClusterBucket | None = None,
    ) -> None:
        super().__init__(folder, store, retention, bucket)
        self._ways = ways
        self._fetched = fetched
        self._of_cluster = bucket
        self._slots = asyncio.Semaphore(FETCHES)
        self._under_way: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()  # of each of those

    async def open(self) -> None:
        """Nothing is recorded on this machine; a fetch that was broken off is forgotten, a deletion ended."""
        await asyncio.to_thread(self._fetched.forget_parts)
        doomed = await self._store.doomed_recordings()
        for record in await self._store.all_recordings() if doomed else ():
            if record.id in doomed:
                await self.delete(record)
        if self.bucket is not None:
            self.bucket.take(Adoption(self._store))
            self.bucket.begin()

    def on_stream(self, message: Mapping[str, Any]) -> None:
        """The node that a stream ran on looks after what its process left."""

    async def add(self, node: str, told: Mapping[str, Any]) -> None:
        """A node has a recording. Telling it twice changes nothing. Raises StoreError, ValueError."""
        path, lines = Path(told["path"]), told["events_path"]
        height, width = told["size_hw"]
        segment = Segment(
            path,
            None if lines is None else Path(lines),
            started_at=told["started_at"],
            start_s=told["start_s"],
            duration_s=told["duration_s"],
            frames=told["frames"],
            bytes=told["bytes"],
            size_hw=(height, width),
            overlay=told["overlay"],
            stream_id=told["stream_id"],
        )
        where = await self._where(told["path"])
        if where is not None and where.state in GOING:
            return  # it was deleted, and its node does not know that yet
        # Whose it is comes first: one that is deleted in between must not be taken for this API's own.
        await self._ways.database.write(lambda session: nodes.put_recording_node(session, told["path"], node))
        await self._store.add_recording(segment)

    # -- seen

    @asynccontextmanager
    async def at_hand(self, records: Sequence[RecordingRecord]) -> AsyncIterator[None]:
        where = await self._where_all(records)
        own = [record for record in records if record.path not in where]
        away = [record for record in records if record.path in where]
        files = [(record, each) for record in away for each in (record.path, record.events_path) if each is not None]
        async with super().at_hand(own):
            with self._fetched.pinned([self.path(each) for _, each in files]):
                for record, each in files:
                    await self._have(record, each)
                yield

    async def _have(self, record: RecordingRecord, relative: str) -> None:
        """It is on this disk then, unless it is nowhere. Raises Unavailable."""
        where = await self._where(relative)
        if where is None or await asyncio.to_thread(self.path(relative).is_file):
            return
        try:
            if not await self._from_node(record, relative, where):
                await self._from_bucket(record, relative, where)
        except NotFound as error:
            log.error("%s cannot be fetched: %s", relative, error)

    async def find(self, record: RecordingRecord, relative: str) -> Path:
        path = self.path(relative)
        if await asyncio.to_thread(path.is_file):
            return path
        where = await self._where(relative)
        if where is None:
            return await super().find(record, relative)
        try:
            if await self._from_node(record, relative, where):
                return path
        except Unavailable as error:  # no room on this disk: what is in the bucket need not be here to be seen
            if not self._is_in_bucket(where):
                raise
            log.warning("%s is seen from the bucket: %s", relative, error)
        if self._is_in_bucket(where):
            return path
        raise where.refusal(self.bucket is not None)

    def _is_in_bucket(self, where: Whereabouts) -> bool:
        return where.is_stored and self.bucket is not None

    async def _from_node(self, record: RecordingRecord, relative: str, where: Whereabouts) -> bool:
        """→ whether it is here now. Raises Unavailable where this disk has no room, or where the node is the only one
        that may have it and does not answer.
        """
        if not where.may_be_there:
            return False
        try:
            return await self._fetch(record, relative, where)
        except LinkDown as error:
            if where.is_stored:
                log.info("%s does not come from its node: %s", relative, error)
                return False
            raise where.away(error) from error

    async def _from_bucket(self, record: RecordingRecord, relative: str, where: Whereabouts) -> None:
        """Raises NotFound, Unavailable."""
        kept = where.kept
        if kept is None or not where.is_stored or self._of_cluster is None:
            raise where.refusal(self.bucket is not None)
        path = self.path(relative)
        async with self._turn(relative):
            if not path.is_file():
                await self._make_room(kept.bytes)
                await self._of_cluster.fetch(kept, path)

    @asynccontextmanager
    async def _turn(self, relative: str) -> AsyncIterator[None]:
        """One of ``FETCHES``, and alone with this file. Its lock stays while anybody has it or waits for it."""
        lock = self._under_way.setdefault(relative, asyncio.Lock())
        self._users[relative] += 1
        try:
            async with self._slots, lock:
                yield
        finally:
            self._users[relative] -= 1
            if not self._users[relative]:
                del self._users[relative], self._under_way[relative]

    async def _make_room(self, need: int) -> None:
        """Only what a node made goes: what this machine recorded before it led a cluster is nowhere else."""
        if not await asyncio.to_thread(self._fetched.is_crowded, need):
            return
        sizes = await asyncio.to_thread(self._fetched.sizes)
        keys = {path: key_of(path.relative_to(self._folder).as_posix()) for path in sizes}
        at = await self._ways.database.read(lambda session: nodes.recording_nodes(session, [*keys.values()]))
        mine = {path: size for path, size in sizes.items() if keys[path] in at}
        await asyncio.to_thread(self._fetched.make_room, need, mine)

    async def _fetch(self, record: RecordingRecord, relative: str, where: Whereabouts) -> bool:
        """→ False where the node has it no more. Raises LinkDown, Unavailable."""
        async with self._turn(relative):
            path = self.path(relative)
            if path.is_file():
                return True
            part = self._fetched.part_of(path)
            await asyncio.to_thread(part.parent.mkdir, parents=True, exist_ok=True)
            await self._make_room(record.bytes)
            try:
                mtime = await self._pieces(relative, where.name, part)
                if mtime is not None:
                    await asyncio.to_thread(self._fetched.keep, part, path, mtime)
                return mtime is not None
            except CallFailed as error:
                raise LinkDown(str(error)) from error
            finally:
                part.unlink(missing_ok=True)

    async def _pieces(self, relative: str, node: str, part: Path) -> float | None:
        """→ when the node's file was written; None: it has none, or not all of it any more."""
        link, offset = self._ways.links.to(node), 0
        with part.open("wb") as file:
            while True:
                piece = await ask(link, "piece", WantPiece(relative, offset, PIECE_BYTES), Piece)
                if piece.total < 0:
                    return None
                await asyncio.to_thread(file.write, piece.data)
                offset += len(piece.data)
                if offset >= piece.total or not piece.data:
                    return piece.mtime if offset >= piece.total else None

    # -- deleted

    async def delete(self, record: RecordingRecord) -> None:
        """With a bucket at once, wherever it lies: a node that is away deletes its copy when it is back. Without one on
        the node first. One that has left the cluster, too, deletes it should it be back.
        """
        where = await self._where(record.path)
        if where is None:
            return await super().delete(record)
        if self.bucket is None and where.node is not None:
            await self._discard_there(record, where)
        await asyncio.to_thread(self._discard, self.path(record.path))
        await self._ways.database.write(lambda session: doom_at_node(session, record.id, record.path))

    async def _discard_there(self, record: RecordingRecord, where: Whereabouts) -> None:
        try:
            await ask(self._ways.links.to(where.name), "discard", Discard(self._ways.leader, record.path), Done)
        except CallFailed as error:
            raise LinkDown(f"node {where.name} does not delete it: {error}") from error

    async def _where(self, relative: str) -> Whereabouts | None:
        """→ None: no node has made it."""
        return await self._ways.database.read(lambda session: read_whereabouts(session, relative))

    async def _where_all(self, records: Sequence[RecordingRecord]) -> Mapping[str, str]:
        """→ path → node, of those that a node has made."""
        paths = [record.path for record in records]
        return await self._ways.database.read(lambda session: nodes.recording_nodes(session, paths))
