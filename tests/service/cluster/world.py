"""A cluster in one process: agents with scripted supervisors over a real PostgreSQL, linked without Ray."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from service.cluster.agent.deadlines import boot_time
from service.cluster.agent.node import Node
from service.cluster.cluster_supervisor import ClusterSupervisor, Reign
from service.cluster.intake import OnRow
from service.cluster.links.link import LocalLink
from service.cluster.strict_hub import StrictHub
from service.processes.nodes import Lender
from service.prometheus import CounterKeeper, Measured
from service.settings import Settings
from service.storage.cluster.leader import Candidate, check_fence, prepare, take_over
from service.storage.database import Database, make_engine
from service.storage.records import StreamRecord
from service.storage.secret_box import SecretBox
from service.storage.store import Store
from service.stream_state import StreamState
from service.supervisor_protocol import Memory, Outlet
from service.wire_messages import rfc3339, to_stream_message
from tests.service.scripted import ScriptedSupervisor

LIMIT_S = 20.0
RENEW_S = 0.3


class NodeScript(ScriptedSupervisor):
    """Says what the test has it say, through the node's outlet; numbers people as a real one does."""

    outlet: Outlet
    memory: Memory
    lends_at = ""
    lenders: tuple[Lender, ...] = ()

    def use_lenders(self, lenders: tuple[Lender, ...]) -> None:
        self.lenders = lenders

    def measured(self) -> list[Measured]:
        return [("", {"stream": one}, {"gauges": {"up": 1.0}}, CounterKeeper()) for one in self.running]

    async def start(self, stream: StreamRecord) -> None:
        await super().start(stream)
        self.first = {**getattr(self, "first", {}), stream.id: 1 + await self.memory.last_track_id(stream.id)}
        await self.outlet.publish_stream(to_stream_message(stream.id, "running", None, "scripted"))

    async def stop(self, stream_id: str) -> None:
        was = stream_id in self.running
        await super().stop(stream_id)
        if was:
            await self.outlet.end_open_events(stream_id)
            await self.outlet.publish_stream(to_stream_message(stream_id, "stopped", None, "stopped on request"))

    async def act(self, stream_id: str, event_id: str, kind: str = "started", track_id: int = 1) -> None:
        await self.outlet.publish_action(
            {
                "type": "action",
                "event_id": event_id,
                "stream_id": stream_id,
                "track_id": track_id,
                "action": "push up",
                "kind": kind,
                "confidence": 0.8,
                "start_s": 1.0,
                "end_s": 3.0 if kind == "ended" else None,
                "captured_at": rfc3339(time.time()),
            }
        )


class Clock:
    """The machine's clock, which the test can put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return boot_time() + self.ahead_s


class World:
    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.settings = Settings(data_dir=folder / "api", database_url=SecretStr(url))
        self.settings.data_dir.mkdir(parents=True)
        self.nodes: dict[str, Node] = {}
        self.scripts: dict[str, NodeScript] = {}
        self.clocks: dict[str, Clock] = {}
        self.links: dict[str, LocalLink] = {}
        self.recorded: list[tuple[str, Mapping[str, Any]]] = []
        self.hear: OnRow | None = None  # of recordings, besides
        self.leaders: list[tuple[ClusterSupervisor, StrictHub, Database]] = []

    def to(self, node: str) -> LocalLink:
        return self.links[node]

    async def add_node(self, name: str, **changes: Any) -> NodeScript:
        settings = self.settings.model_copy(update={"data_dir": self.folder / name, "node": name, **changes})
        script: list[NodeScript] = []

        def factory(settings: Settings, outlet: Outlet, memory: Memory) -> NodeScript:
            script.append(NodeScript(settings, None, None))  # type: ignore[arg-type]
            script[0].outlet, script[0].memory = outlet, memory
            return script[0]

        self.clocks[name] = Clock()
        node = self.nodes[name] = Node(settings, factory, self.clocks[name], RENEW_S)
        self.scripts[name] = script[0]
        self.links[name] = LocalLink(node.desk.answer)
        await node.open()
        return script[0]

    async def remove_node(self, name: str) -> None:
        """As if its process was killed: nothing more is heard of it."""
        self.links[name].down = True
        await self.nodes.pop(name).close()

    async def lead(self) -> tuple[ClusterSupervisor, StrictHub]:
        """Another API leads from now on; the one before is not asked."""
        engine = make_engine(self.url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            prepare(connection)
            epoch = take_over(connection, Candidate("api", "http://api", ""))
        engine.dispose()
        database = Database(self.url, lambda session: check_fence(session, epoch))
        store = Store(database, SecretBox.open(self.settings.data_dir), self.folder / "recordings")
        hub = StrictHub(store)
        await hub.open()

        async def recorded(node: str, body: Mapping[str, Any]) -> None:
            self.recorded.append((node, body))
            if self.hear is not None:
                await self.hear(node, body)

        supervisor = ClusterSupervisor(self.settings, hub, store, Reign(epoch, database, self, recorded))
        self.leaders.append((supervisor, hub, database))
        await supervisor.open()
        return supervisor, hub

    async def add_stream(self, stream_id: str, supervisor: ClusterSupervisor) -> StreamRecord:
        record = StreamRecord(stream_id, stream_id, SecretStr("rtsp://127.0.0.1:9/cam"), "surveillance")
        await supervisor._store.add_stream(record)
        await supervisor.start(record)
        return record

    async def close(self) -> None:
        for supervisor, hub, database in self.leaders:
            await supervisor.close()
            if hub._task is not None:
                hub._task.cancel()
            await database.close()
        for node in self.nodes.values():
            await node.close()

    def runs(self, stream_id: str) -> str | None:
        """→ the one node that runs a stream. Two at once are an error whenever they are seen."""
        found = [name for name, script in self.scripts.items() if name in self.nodes and stream_id in script.running]
        assert len(found) < 2, found
        return found[0] if found else None


async def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {LIMIT_S:g} s: {what}")


@asynccontextmanager
async def world_at(url: str, folder: Path) -> AsyncIterator[World]:
    database = Database(url)
    await database.open()
    await database.close()
    world = World(url, folder)
    try:
        yield world
    finally:
        await world.close()


def in_world(url: str, folder: Path, work: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with world_at(url, folder) as world:
            await work(world)

    asyncio.run(run())


__all__ = ["StreamState"]
