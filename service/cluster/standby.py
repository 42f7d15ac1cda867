"""What an API that stands by knows of streams: what the database says. It orders nothing.

Implements ``supervisor_protocol.Supervisor``; whatever would change something is refused, with who leads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.entities import Zone
from service.budget.plan import BudgetView
from service.cluster.cluster_bucket import ClusterBucket
from service.errors_base import Unavailable
from service.recording.reconcile import Recordings
from service.recording.retention import Limits
from service.storage.cluster import leader
from service.storage.cluster.leader import Leader
from service.storage.cluster.states import Told, told_by
from service.storage.database import Database, StoreError
from service.storage.objects import STORED
from service.storage.records import RecordingRecord, StreamRecord
from service.storage.store import Store
from service.stream_state import StreamState
from service.supervisor_protocol import LivePicture, OnTally, SnapshotUnavailable, StreamStatus
from service.versions.tally import ShadowTally
from service.wire_messages import parse_rfc3339

log = logging.getLogger(__name__)

STANDS_BY = "this API stands by"
LOOK_S = 2.0
RETRY_AFTER_S = 5
NOTHING: tuple[LivePicture, ...] = ()


class StandbyRecordings(Recordings):
    """``refusal``: what is said of a file that is neither on this machine nor in the bucket: the one that leads fetches
    it from its node.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        retention: Limits,
        refusal: Callable[[], Unavailable],
        bucket: ClusterBucket | None,
    ) -> None:
        super().__init__(folder, store, retention, bucket)
        self._refusal = refusal

    async def find(self, record: RecordingRecord, relative: str) -> Path:
        path = self.path(relative)
        if await asyncio.to_thread(path.is_file):
            return path
        known = None if self.bucket is None else await self.bucket.known(path)
        if known is None or known.state != STORED:
            raise self._refusal()
        return path


class StandbyModels:
    """Versions are the leader's."""

    def __init__(self, refusal: Callable[[], Unavailable]) -> None:
        self._refusal = refusal
        self.on_tally: OnTally = _nobody
        self.on_shadow_failed: Callable[[str, str], None] = lambda alias, reason: None
        self.on_broken: Callable[[str, str], None] = lambda version, reason: None

    async def load(self, alias: str, version: str) -> None:
        raise self._refusal()

    async def make_way(self) -> None:
        """Nothing is loaded here."""

    async def follow(self, alias: str) -> float:
        raise self._refusal()


class StandbySupervisor:
    """All methods run on the API's event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.models = StandbyModels(self.refusal)
        self._told = Told()
        self.leader: Leader | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._look()
        self._task = asyncio.create_task(self._look_forever(), name="standby")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except StoreError as error:
                log.warning("how streams do is not known now: %s", error)

    async def _look(self) -> None:
        before = self._told
        self.leader, self._told = await self._database.read(
            lambda session: (leader.read_leader(session), told_by(session, before))
        )

    def refusal(self) -> Unavailable:
        """→ why nothing can be changed here, and who can."""
        who = (
            "nobody leads the cluster now" if self.leader is None else f"{self.leader.name} leads at {self.leader.url}"
        )
        return Unavailable(f"{STANDS_BY}: {who}", retry_after_s=RETRY_AFTER_S)

    async def start(self, stream: StreamRecord) -> None:
        raise self.refusal()

    async def stop(self, stream_id: str) -> None:
        raise self.refusal()

    async def restart(self, stream_id: str) -> None:
        raise self.refusal()

    async def update(self, stream: StreamRecord) -> None:
        raise self.refusal()

    async def set_zones(self, stream_id: str, zones: tuple[Zone, ...]) -> None:
        raise self.refusal()

    def status(self, stream_id: str) -> StreamStatus:
        told = self._told.states.get(stream_id)
        if told is None:
            return StreamStatus(StreamState.STOPPED, None, "nothing was heard of it yet", time.time())
        at = parse_rfc3339(told["at"])
        return StreamStatus(StreamState(told["state"]), told["code"], told["reason"], since=at)

    async def snapshot(self, stream_id: str, timeout_s: float, overlay: bool = True) -> bytes:
        raise SnapshotUnavailable(str(self.refusal()))

    async def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        """None: pictures are the leader's."""
        for nothing in NOTHING:
            yield nothing.jpeg

    async def live(self, stream_id: str, full: bool) -> AsyncIterator[LivePicture]:
        for nothing in NOTHING:
            yield nothing

    @property
    def ready(self) -> bool:
        return False

    def inference_status(self) -> dict[str, Any]:
        """Whoever asks is told (`/readyz`), so it names nobody."""
        return {"reason": STANDS_BY, "parts": {}, "restarts": 0}

    def inference_measures(self) -> Mapping[str, Any]:
        return {}

    def budget(self) -> BudgetView | None:
        return None

    def metrics_text(self) -> bytes:
        return b""


async def _nobody(stream_id: str, tally: ShadowTally) -> None:
    """Who hears of trials until somebody is there."""
