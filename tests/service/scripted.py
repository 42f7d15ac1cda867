"""A scripted supervisor: does what the test says, where the real one would run processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from service.hub import Hub
from service.settings import Settings
from service.storage.records import StreamRecord
from service.storage.store import Store
from service.stream_state import StreamState
from service.supervisor_protocol import SnapshotUnavailable, StreamStatus

SINCE = 1_777_000_000.0
JPEG = b"\xff\xd8\xff\xe0 not a picture, but what a supervisor hands out \xff\xd9"


class ScriptedSupervisor:
    """Keeps what it was told in ``calls``; ``statuses``, ``pictures`` and ``stop_takes_s`` are the script."""

    def __init__(self, settings: Settings, hub: Hub, store: Store) -> None:
        self.settings, self.hub, self.store = settings, hub, store
        self.calls: list[tuple[str, str]] = []
        self.running: dict[str, StreamRecord] = {}
        self.statuses: dict[str, StreamStatus] = {}
        self.pictures: list[bytes] = [JPEG, JPEG]
        self.stop_takes_s = 0.0
        self.stop_fails = False
        self.is_ready = True
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

    def status(self, stream_id: str) -> StreamStatus:
        state = StreamState.RUNNING if stream_id in self.running else StreamState.STOPPED
        return self.statuses.get(stream_id, StreamStatus(state, None, "scripted", SINCE))

    async def snapshot(self, stream_id: str, timeout_s: float) -> bytes:
        if not self.pictures:
            raise SnapshotUnavailable(f"no picture within {timeout_s:g} s: connecting")
        return self.pictures[0]

    async def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        for picture in self.pictures[1:]:
            yield picture

    @property
    def ready(self) -> bool:
        return self.is_ready

    def inference_status(self) -> dict[str, Any]:
        return {"ready": self.is_ready, "parts": {"model:surveillance": "scripted"}}

    def metrics_text(self) -> bytes:
        return b"# HELP actoscope_up scripted\n# TYPE actoscope_up gauge\nactoscope_up 1.0\n"
