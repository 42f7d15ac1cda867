"""Sinks over a real database, without an application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from service.sinks import signing
from service.sinks.addresses import Gate
from service.sinks.configs import WebhookConfig, load, split
from service.sinks.dispatcher import Dispatcher
from service.sinks.sender import Sender, SenderContext
from service.sinks.senders import Senders
from service.sinks.webhook import WebhookSender
from service.storage import outbox
from service.storage.alert_tables import OutboxRow
from service.storage.database import Database
from service.storage.outbox import NewMessage
from service.storage.secret_box import SecretBox
from service.storage.sinks import SinkRecord, SinkStore
from tests.service.storage.conftest import url  # noqa: F401 - fixtures

SINK = "snk_0000000000000001"
INCIDENT = "inc_0000000000000001"
START = 1_777_000_000.0
KEY = signing.Key("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDAAECAwQFBgc=")


class Clock:
    """Unix time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def webhook_config(address: str, **config: Any) -> WebhookConfig:
    return WebhookConfig.model_validate({"url": address, **config})


def webhook_record(address: str, sink_id: str = SINK, **config: Any) -> SinkRecord:
    plain, secrets = split(webhook_config(address, **config))
    secrets["signing"] = signing.to_plain([KEY])
    return SinkRecord(sink_id, "webhook", "Control room", plain, secrets, created_at=START)


class Bench:
    """The outbox, a dispatcher that has not begun, and what a test asks of them."""

    def __init__(self, database: Database, sinks: SinkStore, dispatcher: Dispatcher, clock: Clock) -> None:
        self.database, self.sinks, self.dispatcher, self.clock = database, sinks, dispatcher, clock

    async def enqueue(self, n: int = 1, incident: str | None = INCIDENT, **changes: Any) -> int:
        told: dict[str, Any] = {"type": "incident.started", "data": {"n": n}, "sink_id": SINK, **changes}
        message = NewMessage(incident_id=incident, n=n, **told)
        return await self.database.write(lambda session: outbox.enqueue(session, message, self.clock.now))

    async def row(self, row_id: int) -> OutboxRow:
        def work(session: Any) -> OutboxRow:
            row = session.get(OutboxRow, row_id)
            session.expunge(row)
            return row

        return await self.database.read(work)

    async def settle(self) -> None:
        """Rounds until nothing is due and nothing under way; the clock stands."""
        while True:
            await self.dispatcher._round()
            if not self.dispatcher._tasks:
                return
            while self.dispatcher._tasks:
                await asyncio.wait(list(self.dispatcher._tasks))
                await asyncio.sleep(0)  # a task that is done leaves by a callback


@asynccontextmanager
async def bench(address: str, folder: Path, *records: SinkRecord, senders: Any = None) -> AsyncIterator[Bench]:
    database, clock = Database(address), Clock()
    await database.open()
    sinks = SinkStore(database, SecretBox.open(folder))
    for record in records:
        assert await sinks.add(record, 10)

    def webhook(record: SinkRecord, _: SenderContext) -> Sender:
        config = load(record)
        assert isinstance(config, WebhookConfig)
        return WebhookSender(config, signing.from_plain(record.secrets["signing"]), Gate(["127.0.0.1"]), clock)

    context: Any = None
    factories = {"webhook": webhook, **(senders or {})}
    dispatcher = Dispatcher(database, Senders(sinks, context, factories), clock)
    await dispatcher._senders.refresh()
    try:
        yield Bench(database, sinks, dispatcher, clock)
    finally:
        await dispatcher.close()
        await database.close()
