"""A cluster in one process whose recordings go to S3 on this machine, behind a proxy that fails when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from models.store.address import Address
from models.store.opening import open_store
from models.store.protocol import Store as Objects
from service.cluster.cluster_bucket import ClusterBucket, open_cluster_bucket
from service.cluster.fetched_files import FetchedFiles
from service.cluster.remote_recordings import RemoteRecordings, Ways
from service.recording.retention import Limits
from service.recording.segment_files import read_segment
from service.storage.cluster.nodes import Node, forget_node, read_nodes
from service.storage.cluster.objects import LeaderObjects
from service.storage.database import Database
from service.storage.objects import ObjectRecord
from service.storage.records import RecordingRecord
from service.storage.store import Store
from tests.service.cluster.world import World, until
from tests.service.recording.test_reconcile import write_video

FOREVER = Limits(1e12, 1 << 50)
STREAM = "str_a"
SITE = "site"


class BucketWorld:
    """``world`` with an API that leads, whose bucket and those of its nodes are the same one."""

    def __init__(self, world: World, url: str, bucket: str) -> None:
        self.world, self.s3_url, self.name = world, url, bucket
        self.s3: Objects = open_store(Address(bucket, SITE), url)
        self.kept: RemoteRecordings
        self.store: Store
        self.database: Database
        self.objects: LeaderObjects
        self._opened: list[RemoteRecordings] = []

    @property
    def bucket(self) -> ClusterBucket:
        """As the API that leads has it."""
        assert isinstance(self.kept.bucket, ClusterBucket)
        return self.kept.bucket

    @property
    def place(self) -> str:
        return f"s3://{self.name}/{SITE}"

    def settings(self, **changes: Any) -> dict[str, Any]:
        found = {"store": self.place, "s3_endpoint": self.s3_url, "recordings_local_hours": 0.0}
        return {**found, "recordings_min_free_mb": 0, **changes}

    async def lead(self, **changes: Any) -> None:
        """Another API leads from now on."""
        supervisor, _ = await self.world.lead()
        self.store, self.database = supervisor._store, self.world.leaders[-1][2]
        self.objects = LeaderObjects(self.database)
        update = self.settings(data_dir=self.world.folder, **changes)
        settings = self.world.settings.model_copy(update=update)
        folder, ways = settings.recordings_dir, Ways(self.database, self.world, supervisor._reign.epoch)
        fetched = FetchedFiles(folder.resolve(), settings.extras_min_free_bytes)
        bucket = open_cluster_bucket(settings, self.database, 0.0)
        self.kept = RemoteRecordings(folder, self.store, FOREVER, ways, fetched, bucket)
        self.world.hear = self.kept.add
        self._opened.append(self.kept)
        await self.kept.open()

    async def add_node(self, name: str, **changes: Any) -> None:
        await self.world.add_node(name, **self.settings(**changes))

    async def record(self, node: str, name: str = "20270101T120000000Z") -> RecordingRecord:
        """→ a recording of two seconds that this node has made, as the API knows it."""
        found = self.world.nodes[node]
        video = await asyncio.to_thread(write_video, self.folder(node) / STREAM / f"{name}.mp4")
        await found.outlet.add_recording(replace(read_segment(video), stream_id=STREAM))
        return await eventually(lambda: self.row(name), f"{name} is told of")

    async def row(self, name: str) -> RecordingRecord | None:
        rows = await self.store.all_recordings()
        return next((row for row in rows if name in row.path), None)

    async def stored(self, name: str = "20270101T120000000Z") -> RecordingRecord:
        """→ it, once all of it is in the bucket."""

        async def there() -> RecordingRecord | None:
            row = await self.row(name)
            return row if row is not None and row.place == "s3" else None

        return await eventually(there, f"{name} is in the bucket")

    async def left(self, node: str) -> None:
        await until(lambda: not self.files(node), f"copies of {node} are gone")

    def folder(self, node: str) -> Path:
        return self.world.nodes[node]._settings.recordings_dir

    def files(self, node: str) -> list[str]:
        return sorted(path.name for path in self.folder(node).rglob("2*"))

    def keys(self, prefix: str = "recordings") -> list[str]:
        return [found.key for found in self.s3.list(prefix) if not found.key.endswith("OWNER")]

    async def content(self, row: RecordingRecord, begin: int = 0, end: int | None = None) -> bytes:
        """→ what whoever looks at it gets, from this disk or the bucket. Raises what the API would answer."""
        path = await self.kept.find(row, row.path)
        if path.is_file():
            return path.read_bytes()[begin : None if end is None else end + 1]
        record = await self.bucket.find(path)
        blocks = self.bucket.blocks(record, begin, record.bytes - 1 if end is None else end)
        return b"".join([block async for block in blocks])

    async def objects_of(self, row: RecordingRecord) -> tuple[ObjectRecord, ...]:
        return await self.objects.of([row.id])

    async def node(self, name: str) -> Node:
        return (await self.database.read(read_nodes))[name]

    async def kill(self, name: str) -> None:
        """It is not heard of any more, and its copies stay where they are."""
        await self.world.remove_node(name)
        await eventually(lambda: self._is_silent(name), f"{name} is silent")

    async def _is_silent(self, name: str) -> bool:
        return not (await self.node(name)).alive

    async def forget(self, name: str) -> None:
        await self.database.write(lambda session: forget_node(session, name))

    async def close(self) -> None:
        for kept in self._opened:
            await kept.close()


class Work(Protocol):
    def __call__(self, work: Callable[[BucketWorld], Awaitable[None]]) -> None: ...


async def eventually(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    found: list[Any] = []

    async def look() -> None:
        while not (value := await condition()):
            await asyncio.sleep(0.05)
        found.append(value)

    try:
        await asyncio.wait_for(look(), 30.0)
    except TimeoutError:
        raise AssertionError(f"not within 30 s: {what}") from None
    return found[0]
