"""One service as far as a broker sees it: database, hub and one MQTT sink; alone as a process that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from service.hub import Hub
from service.settings import Settings
from service.sinks.configs import MqttConfig, split
from service.sinks.mqtt_alerts import RuleSwitch
from service.sinks.mqtt_sender import MqttSender
from service.sinks.sender import OutboxMessage, SenderContext
from service.storage.database import Database
from service.storage.records import StreamRecord
from service.storage.secret_box import SecretBox
from service.storage.sinks import SinkRecord, SinkStore
from service.storage.store import Store
from service.stream_state import StreamState
from service.supervisor_protocol import StreamStatus
from tests.service.scripted import ScriptedSupervisor

ID = "str_0000000000000001"
OTHER = "str_0000000000000002"
SINK = "snk_0000000000000001"
SINCE = 1_777_000_000.0


@dataclass
class Node:
    settings: Settings
    store: Store
    database: Database
    hub: Hub
    supervisor: ScriptedSupervisor
    sender: MqttSender
    sinks: SinkStore

    async def add_stream(self, stream_id: str = ID, **changes: Any) -> None:
        actions = {"Fighting": 0.5, "Walking": 0.5}
        url = SecretStr("rtsp://127.0.0.1:9/cam")
        await self.store.add_stream(StreamRecord(stream_id, "Yard", url, "surveillance", actions, **changes))

    def run(self, stream_id: str = ID, state: StreamState = StreamState.RUNNING) -> None:
        self.supervisor.statuses[stream_id] = StreamStatus(state, None, "scripted", SINCE)

    async def incident(self, kind: str, number: int = 1, stream_id: str = ID) -> Any:
        """→ the outcome of one outbox message."""
        about = {"id": f"inc_{number}", "stream_id": stream_id, "action": "Fighting"}
        data = {"incident": about, "links": {}}
        message = OutboxMessage(number, SINK, about["id"], 0, f"incident.{kind}", time.time(), data, stream_id)
        return await self.sender.send(message)


@contextlib.asynccontextmanager
async def node(folder: Path, config: dict[str, Any], name: str = "gate", sink: str = SINK) -> AsyncIterator[Node]:
    """Not yet opened: ``sender.open()``. Ends without a farewell, as a crash would."""
    settings = Settings(data_dir=folder, weights_dir=folder / "weights", node=name)
    folder.mkdir(exist_ok=True)
    box = SecretBox.open(folder)
    database = Database(settings.sqlalchemy_url())
    store = Store(database, box, settings.recordings_dir)
    await store.open()
    hub = Hub(store)
    await hub.open()
    supervisor = ScriptedSupervisor(settings, hub, store)
    sinks = SinkStore(database, box)
    plain, secrets = split(MqttConfig(host="127.0.0.1", **config))
    record = SinkRecord(sink, "mqtt", "Broker", plain, secrets)
    if await sinks.get(sink) is None:
        await sinks.add(record, 50)
    context = SenderContext(settings, store, database, hub, supervisor, alerts=RuleSwitch(database))
    sender = MqttSender(record, context)
    try:
        yield Node(settings, store, database, hub, supervisor, sender, sinks)
    finally:
        if sender._task is not None:
            sender._task.cancel()
            await asyncio.gather(sender._task, return_exceptions=True)
        await hub.close()
        await store.close()


async def live(folder: Path, port: int) -> None:
    async with node(folder, {"port": port}) as one:
        for stream_id in (ID, OTHER):
            await one.add_stream(stream_id)
            one.run(stream_id)
        await one.sender.open()
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), int(sys.argv[2])))
