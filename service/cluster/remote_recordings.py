"""Recordings that lie on nodes: their rows are here, their files are fetched when somebody wants to see them.

What was fetched is kept in the folder of recordings of this machine as a cache, bounded; the pieces come by ranges of
bytes, so that neither side holds a file in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.cluster.links.errors import CallFailed, LinkDown
from service.cluster.links.link import Links, ask
from service.cluster.links.messages import Discard, Done, Piece, WantPiece
from service.recording.reconcile import Recordings
from service.recording.retention import Limits
from service.storage.cluster import nodes
from service.storage.database import Database
from service.storage.records import RecordingRecord
from service.storage.segment import Segment
from service.storage.store import Store

log = logging.getLogger(__name__)

PIECE_BYTES = 1 << 20
CACHE_BYTES = 4_000_000_000
FETCHES = 4  # at once


class RemoteRecordings(Recordings):
    """``leader``: the epoch that orders to delete are given under."""

    def __init__(
        self, folder: Path, store: Store, retention: Limits, database: Database, links: Links, leader: int
    ) -> None:
        super().__init__(folder, store, retention)
        self._database = database
        self._links = links
        self._leader = leader
        self._slots = asyncio.Semaphore(FETCHES)
        self._under_way: dict[str, asyncio.Lock] = {}

    async def open(self) -> None:
        """Nothing is recorded on this machine; a fetch that was broken off is forgotten."""
        for part in self._folder.glob("*/*.fetch"):
            part.unlink(missing_ok=True)

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
        record = await self._store.add_recording(segment)
        await self._database.write(lambda session: nodes.put_recording_node(session, record.path, node))

    async def bring(self, *relatives: str | None) -> None:
        """Raises LinkDown where the node that has one cannot be reached; one that is gone is not there afterwards."""
        wanted = [each for each in relatives if each is not None and not self.path(each).is_file()]
        if not wanted:
            return
        keys = [_key(one) for one in wanted]
        at = await self._database.read(lambda session: nodes.recording_nodes(session, keys))
        for relative in wanted:
            node = at.get(_key(relative))
            if node is not None:
                await self._fetch(relative, node)
        await self._make_room({self.path(one) for one in wanted})

    async def _make_room(self, needed: set[Path]) -> None:
        """Only what a node has goes: what this machine recorded before it led a cluster is nowhere else."""
        sizes = await asyncio.to_thread(fetched_sizes, self._folder)
        if sum(sizes.values()) <= CACHE_BYTES:
            return
        keys = {path: _key(path.relative_to(self._folder).as_posix()) for path in sizes}
        at = await self._database.read(lambda session: nodes.recording_nodes(session, [*keys.values()]))
        elsewhere = {path: size for path, size in sizes.items() if keys[path] in at}
        await asyncio.to_thread(keep_within, elsewhere, CACHE_BYTES, needed)

    async def _fetch(self, relative: str, node: str) -> None:
        async with self._slots, self._under_way.setdefault(relative, asyncio.Lock()):
            path = self.path(relative)
            if path.is_file():
                return
            part = path.with_name(path.name + ".fetch")
            await asyncio.to_thread(part.parent.mkdir, parents=True, exist_ok=True)
            try:
                if await self._pieces(relative, node, part):
                    part.rename(path)
            except CallFailed as error:
                raise LinkDown(f"the recording lies on node {node}: {error}") from error
            finally:
                part.unlink(missing_ok=True)
                self._under_way.pop(relative, None)

    async def _pieces(self, relative: str, node: str, part: Path) -> bool:
        link, offset = self._links.to(node), 0
        with part.open("wb") as file:
            while True:
                piece = await ask(link, "piece", WantPiece(relative, offset, PIECE_BYTES), Piece)
                if piece.total < 0:
                    return False
                await asyncio.to_thread(file.write, piece.data)
                offset += len(piece.data)
                if offset >= piece.total or not piece.data:
                    return offset >= piece.total

    async def delete(self, record: RecordingRecord) -> None:
        """On the node first. One that has left the cluster takes nothing back: only the row goes then."""
        known = await self._database.read(lambda s: (nodes.recording_nodes(s, [record.path]), nodes.read_nodes(s)))
        node = known[0].get(record.path)
        if node is not None and node in known[1]:
            try:
                await ask(self._links.to(node), "discard", Discard(self._leader, record.path), Done)
            except CallFailed as error:
                raise LinkDown(f"node {node} does not delete it: {error}") from error
        await super().delete(record)
        await self._database.write(lambda session: nodes.forget_recording_node(session, record.path))


def _key(relative: str) -> str:
    """→ the video that a file belongs to: the row names that one."""
    return relative if relative.endswith(".mp4") else relative.partition(".")[0] + ".mp4"


def fetched_sizes(folder: Path) -> dict[Path, int]:
    """→ the size of each file, those that have been there longest first."""
    found: list[tuple[float, Path, int]] = []
    for path in folder.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):  # one that is renamed or deleted meanwhile
            status = path.stat()
            if path.suffix != ".fetch" and path.is_file():
                found.append((status.st_mtime, path, status.st_size))
    return {path: size for _, path, size in sorted(found)}


def keep_within(sizes: Mapping[Path, int], most: int, needed: set[Path]) -> None:
    """Takes away what was fetched longest ago beyond ``most`` bytes, but for what is needed now."""
    total = sum(sizes.values())
    for path, size in sizes.items():
        if total <= most:
            return
        if path not in needed:
            total -= size
            path.unlink(missing_ok=True)
