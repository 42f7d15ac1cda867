"""A scripted supervisor: does what the test says, where the real one would run processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from pipeline.entities import Zone
from service.budget.plan import BudgetView
from service.errors_base import Unavailable
from service.hub import Hub
from service.settings import Settings
from service.storage.records import StreamRecord
from service.storage.store import Store
from service.stream_state import StreamState
from service.supervisor_protocol import LivePicture, OnTally, SnapshotUnavailable, StreamStatus

SINCE = 1_777_000_000.0
JPEG = b"\xff\xd8\xff\xe0 not a picture, but what a supervisor hands out \xff\xd9"


class ScriptedModels:
    """``problem``: why no version can be loaded; ``calls`` is what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.problem: str | None = None
        self.loads_for_ever = False
        self.on_shadow_failed: Callable[[str, str], None] = lambda alias, reason: None
        self.on_broken: Callable[[str, str], None] = lambda version, reason: None
        self.on_tally: OnTally

    async def load(self, alias: str, version: str) -> None:
        self.calls.append(("load", alias, version))
        if self.problem is not None:
            raise Unavailable(self.problem)
        if self.loads_for_ever:
            await asyncio.Event().wait()

    async def make_way(self) -> None:
        self.calls.append(("make_way",))

    async def follow(self, alias: str) -> float:
        self.calls.append(("follow", alias))
        return 0.0


class ScriptedSupervisor:
    """Keeps what it was told in ``calls``; ``statuses``, ``pictures``, ``people`` (tracks in every live picture),
    ``plan`` and ``stop_takes_s`` are the script.
    """

    def __init__(self, settings: Settings, hub: Hub, store: Store) -> None:
        self.settings, self.hub, self.store = settings, hub, store
        self.calls: list[tuple[str, str]] = []
        self.running: dict[str, StreamRecord] = {}
        self.statuses: dict[str, StreamStatus] = {}
        self.zones: dict[str, tuple[Zone, ...]] = {}
        self.pictures: list[bytes] = [JPEG, JPEG]
        self.people: list[dict[str, Any]] = []
        self.plan: BudgetView | None = None
        self.stop_takes_s = 0.0
        self.stop_fails = False
        self.is_ready = True
        self.models = ScriptedModels()
        self.is_open = False
        self.loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        self.is_open = True
        self.loop = asyncio.get_running_loop()

    async def close(self) -> None:
        self.is_open = False

    async def start(self, stream: StreamRecord) -> None:
        self.calls.append(("start", stream.id))
        self.running[stream.id] = stream

    async def stop(self, stream_id: str) -> None:
        self.calls.append(("stop", stream_id))
        await asyncio.sleep(self.stop_takes_s)
        if self.stop_fails:
            raise RuntimeError("scripted")
        self.running.pop(stream_id, None)

    async def restart(self, stream_id: str) -> None:
        self.calls.append(("restart", stream_id))

    async def update(self, stream: StreamRecord) -> None:
        self.calls.append(("update", stream.id))
        self.running[stream.id] = stream

    async def set_zones(self, stream_id: str, zones: tuple[Zone, ...]) -> None:
        self.calls.append(("set_zones", stream_id))
        self.zones[stream_id] = zones

    def status(self, stream_id: str) -> StreamStatus:
        state = StreamState.RUNNING if stream_id in self.running else StreamState.STOPPED
        return self.statuses.get(stream_id, StreamStatus(state, None, "scripted", SINCE))

    async def snapshot(self, stream_id: str, timeout_s: float, overlay: bool = True) -> bytes:
        self.calls += [] if overlay else [("still", stream_id)]
        if not self.pictures:
            raise SnapshotUnavailable(f"no picture within {timeout_s:g} s: connecting")
        return self.pictures[0]

    async def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        for picture in self.pictures[1:]:
            yield picture

    async def live(self, stream_id: str, full: bool) -> AsyncIterator[LivePicture]:
        self.calls.append(("live in full" if full else "live", stream_id))
        for index, picture in enumerate(self.pictures):
            yield LivePicture(picture, self.tracks_of(stream_id, index))

    def tracks_of(self, stream_id: str, index: int) -> dict[str, Any]:
        frame = {"frame_index": index, "time_s": index / 10, "captured_at": "2026-05-04T03:02:01.000Z", "age_ms": 5}
        return {"type": "tracks", "stream_id": stream_id, **frame, "tracks": self.people}

    @property
    def ready(self) -> bool:
        return self.is_ready

    def inference_status(self) -> dict[str, Any]:
        return {"ready": self.is_ready, "parts": {"model:surveillance": "scripted"}}

    def inference_measures(self) -> Mapping[str, Any]:
        return {"gauges": {"clip_queue_depth": 2.0}, "counters": {"clips_total": 40.0, "crashes_total": 0.0}}

    def budget(self) -> BudgetView | None:
        return self.plan

    def metrics_text(self) -> bytes:
        return b"# HELP actoscope_up scripted\n# TYPE actoscope_up gauge\nactoscope_up 1.0\n"
