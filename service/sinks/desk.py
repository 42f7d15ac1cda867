"""What an administrator does with sinks and deliveries, and the life of all that sends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from service.bucket.bucket import Bucket
from service.errors_base import Conflict, InvalidRequest, Wrong, invalid, not_found
from service.ids import new_id
from service.prometheus import Measured
from service.sinks import signing
from service.sinks.bodies import Rotate, SinkCreate, SinkPatch
from service.sinks.configs import CONFIGS, Config, merged, split
from service.sinks.dispatcher import Dispatcher, Tried
from service.sinks.mqtt_alerts import RuleSwitch
from service.sinks.sender import SenderContext
from service.sinks.senders import Senders
from service.sinks.snapshots import Snapshots
from service.storage import deliveries
from service.storage.database import Database
from service.storage.deliveries import DeliveryFilter
from service.storage.outbox import DeliveryRecord
from service.storage.records import Cursor, Page
from service.storage.secret_box import SecretBox
from service.storage.sinks import SinkRecord, SinkStore

MAX_SINKS = 50


class SinkDesk:
    """All methods run on the event loop; each may raise StoreError."""

    def __init__(
        self, database: Database, sinks: SinkStore, senders: Senders, dispatcher: Dispatcher, switch: RuleSwitch
    ) -> None:
        self._database = database
        self._sinks = sinks
        self._senders = senders
        self.dispatcher = dispatcher
        self.switch = switch

    @classmethod
    def over(cls, context: SenderContext, box: SecretBox, bucket: Bucket | None = None) -> SinkDesk:
        """Several processes may share a PostgreSQL; the SQLite of a data folder is one process's."""
        database, settings = context.database, context.settings
        snapshots = Snapshots(database, settings.incidents_dir, bucket)
        sinks = SinkStore(database, box)
        switch = RuleSwitch(database)
        senders = Senders(sinks, replace(context, snapshot=snapshots.read, alerts=switch))
        dispatcher = Dispatcher(database, senders, sole=settings.database_url is None)
        return cls(database, sinks, senders, dispatcher, switch)

    async def open(self) -> None:
        await self.dispatcher.open()

    async def close(self) -> None:
        """Within two seconds."""
        await self.dispatcher.close()

    def measured(self) -> list[Measured]:
        return self.dispatcher.measured()

    # -- sinks

    async def all(self) -> tuple[SinkRecord, ...]:
        return await self._sinks.all()

    async def get(self, sink_id: str) -> SinkRecord:
        """Raises NotFound."""
        record = await self._sinks.get(sink_id)
        if record is None:
            raise not_found("sink", sink_id)
        return record

    async def add(self, body: SinkCreate) -> tuple[SinkRecord, str | None]:
        """→ the sink, and a webhook's secret. Raises Conflict."""
        config, secrets = split(body.config)
        if body.kind == "webhook":
            secrets["signing"] = signing.to_plain([signing.new_key()])
        record = SinkRecord(
            new_id("snk"), body.kind, body.name, config, secrets, enabled=body.enabled, created_at=time.time()
        )
        if not await self._sinks.add(record, MAX_SINKS):
            raise Conflict(f"there are {MAX_SINKS} sinks, which is the limit")
        await self.dispatcher.changed()
        return record, _current_secret(record)

    async def change(self, sink_id: str, body: SinkPatch) -> SinkRecord:
        """Raises NotFound, InvalidRequest."""
        record = await self.get(sink_id)
        if body.config is not None:
            record = _with_config(record, body.config)
        if body.name is not None:
            record = replace(record, name=body.name)
        if body.enabled is not None:
            record = replace(record, enabled=body.enabled, disabled_reason="", failing_since=None)
        return await self._keep(record)

    async def remove(self, sink_id: str) -> None:
        """Its messages that wait are given up. Raises NotFound."""
        if not await self._sinks.delete(sink_id):
            raise not_found("sink", sink_id)
        await self.dispatcher.changed()
        self.dispatcher.forget(sink_id)

    async def rotate(self, sink_id: str, body: Rotate) -> tuple[SinkRecord, str | None]:
        """→ the sink with a new secret; the old one signs too for a while. Raises NotFound, Conflict."""
        record = await self.get(sink_id)
        if record.kind != "webhook":
            raise Conflict(f"expected a webhook: a sink of the kind {record.kind} signs nothing")
        if not record.readable:
            raise Conflict("the sink's secrets cannot be decrypted: give it its URL again first (PATCH)")
        keys = signing.rotated(signing.from_plain(record.secrets["signing"]), time.time(), body.overlap_s)
        record = replace(record, secrets={**record.secrets, "signing": signing.to_plain(keys)})
        return await self._keep(record), _current_secret(record)

    async def test(self, sink_id: str) -> Tried:
        """Sends a test message now, also by a sink that is disabled. Raises NotFound, Conflict."""
        record = await self.get(sink_id)
        running = self._senders.get(sink_id)
        if running is not None:
            return await self.dispatcher.test(sink_id, running)
        try:
            sender = self._senders.make(record)
        except ValueError as error:
            raise Conflict(f"the sink cannot be used: {error}") from None
        await sender.open()
        try:
            return await self.dispatcher.test(sink_id, sender)
        finally:
            await sender.close(removed=True)

    async def _keep(self, record: SinkRecord) -> SinkRecord:
        if not await self._sinks.change(record):
            raise not_found("sink", record.id)
        await self.dispatcher.changed()
        return record

    # -- deliveries

    async def deliveries(self, wanted: DeliveryFilter, cursor: Cursor | None, limit: int) -> Page[DeliveryRecord]:
        """Newest first. Raises InvalidRequest."""
        try:
            return await deliveries.list_deliveries(self._database, wanted, cursor, limit)
        except ValueError as error:
            raise invalid("cursor", str(error).removeprefix("expected "), "another") from None

    async def retry(self, delivery_id: int) -> DeliveryRecord:
        """Raises NotFound, Conflict."""
        record = await deliveries.retry(self._database, delivery_id, time.time())
        if record is None:
            raise not_found("delivery", f"msg_{delivery_id}")
        self.dispatcher.ring()
        return record


def _with_config(record: SinkRecord, changes: Mapping[str, Any]) -> SinkRecord:
    config, secrets = split(_checked(CONFIGS[record.kind], merged(record, changes)))
    if record.kind == "webhook":
        secrets["signing"] = record.secrets.get("signing") or signing.to_plain([signing.new_key()])
    return replace(record, config=config, secrets=secrets, readable=True)


def _checked(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Raises InvalidRequest, which repeats no value: it may be a secret."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        wrong = [_wrong(item) for item in error.errors(include_url=False, include_input=False, include_context=False)]
    raise InvalidRequest(wrong)


def _wrong(item: Any) -> Wrong:
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("expected ")
    return Wrong(".".join(["config", *map(str, item["loc"])]), message[:1].lower() + message[1:], "something else")


def _current_secret(record: SinkRecord) -> str | None:
    keys = record.secrets.get("signing")
    return keys[0]["secret"] if keys else None
