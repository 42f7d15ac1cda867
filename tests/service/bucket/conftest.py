"""Recordings over a real database, real files and S3 on this machine, behind a proxy that fails when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from models.errors import StoreError
from models.store.address import Address
from models.store.opening import open_store
from service.bucket.bucket import Bucket
from service.bucket.hands import Hands
from service.bucket.parts import Parts
from service.bucket.standing import Standing
from service.errors_base import Unavailable
from service.recording.adoption import Adoption
from service.recording.reconcile import Recordings
from service.recording.retention import Limits
from service.recording.segment_files import read_segment
from service.storage.database import Database
from service.storage.objects import ObjectStore
from service.storage.records import RecordingRecord
from service.storage.secret_box import SecretBox
from service.storage.store import Store
from tests.models.store.conftest import aws, bucket, credentials, proxy  # noqa: F401 - fixtures
from tests.service.recording.test_reconcile import write_video
from tests.support.s3 import FaultProxy

FOREVER = Limits(1e12, 1 << 50)
STREAM = "str_a"


class World:
    """A service's recordings and their bucket, without its loop: ``work`` does what one would do. ``now`` stands still.

    Keeps local copies for no time at all.
    """

    def __init__(self, folder: Path, url: str, name: str) -> None:
        self.folder, self.now = folder, 1_800_000_000.0
        self._database = Database(f"sqlite:///{folder / 'x.db'}")
        self.store = Store(self._database, SecretBox.open(folder), folder / "recordings")
        self.objects = ObjectStore(self._database)
        self.s3 = open_store(Address(name, "site"), url)
        clock = lambda: self.now  # noqa: E731 - both clocks
        parts = Parts(self.s3, self.objects, folder, Standing("s3://x", clock), Hands("t", 1), 0, 600.0, clock, clock)
        self.bucket = Bucket(parts, keep_s=0.0)
        self.recordings = Recordings(folder / "recordings", self.store, FOREVER, self.bucket)

    async def open(self) -> None:
        await self.store.open()
        self.bucket.take(Adoption(self.store))

    async def close(self) -> None:
        await self.bucket.close()
        await self.store.close()

    async def record(self, name: str = "20270101T120000000Z") -> RecordingRecord:
        """→ a recording of two seconds, as the recorder leaves it."""
        video = write_video(self.folder / "recordings" / STREAM / f"{name}.mp4")
        return await self.store.add_recording(read_segment(video))

    async def work(self, rounds: int = 12) -> None:
        """Rounds of work, a minute from one to the next; what fails is tried again."""
        for _ in range(rounds):
            self.now += 61.0
            try:
                await self.bucket.work()
            except (StoreError, Unavailable) as error:
                self.bucket.standing.failed(str(error))

    def keys(self, prefix: str = "recordings") -> list[str]:
        return [found.key for found in self.s3.list(prefix) if not found.key.endswith("OWNER")]

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "recordings").rglob("2*"))

    async def states(self) -> list[str]:
        return [record.state for record in await self.objects.of([row.id for row in await self.rows()])]

    async def rows(self) -> tuple[RecordingRecord, ...]:
        return await self.store.all_recordings()


class Run(Protocol):
    def __call__(self, work: Callable[[World], Awaitable[Any]], folder: str = ...) -> Any: ...


@pytest.fixture
def run(tmp_path: Path, bucket: str, proxy: FaultProxy) -> Run:  # noqa: F811 - the fixtures
    """Runs a coroutine over a world; again, it is the next start on the same folder and bucket."""

    def started(work: Callable[[World], Awaitable[Any]], folder: str = "data") -> Any:
        async def main() -> Any:
            (tmp_path / folder).mkdir(exist_ok=True)
            world = World(tmp_path / folder, proxy.url, bucket)
            await world.open()
            try:
                return await work(world)
            finally:
                await world.close()

        return asyncio.run(main())

    return started
