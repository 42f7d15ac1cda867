"""A broker as a sink: live state is published all the time, incidents are sent as the outbox hands them out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiomqtt

from service.catalogue import Catalogue
from service.counters import Measures
from service.ids import service_version
from service.sinks.configs import MqttConfig, load
from service.sinks.mqtt_connection import ANSWER_S, ONLINE, Broker, Link, connected, in_words
from service.sinks.mqtt_discovery import Discovery
from service.sinks.mqtt_incidents import Told, is_of_incident, told
from service.sinks.mqtt_publisher import Publisher
from service.sinks.mqtt_retained import NODE, RetainedTopics
from service.sinks.mqtt_state import MAX_SNAPSHOT, Retained
from service.sinks.mqtt_topics import Topics
from service.sinks.mqtt_watch import REFRESH_S, Sources, Watch
from service.sinks.sender import Delivered, OutboxMessage, Outcome, Retry, Sender, SenderContext
from service.storage import mqtt as table
from service.storage.database import StoreError
from service.storage.sinks import SinkRecord
from service.supervisor_protocol import SnapshotUnavailable

log = logging.getLogger(__name__)

FAREWELL_S = 0.9
PICTURE_S = 3.0


class MqttSender:
    """One sink of kind ``mqtt``. Raises ValueError for a configuration that cannot be used."""

    def __init__(self, sink: SinkRecord, context: SenderContext) -> None:
        config = load(sink)
        if not isinstance(config, MqttConfig):
            raise ValueError(f"expected a sink of the kind mqtt, got {sink.kind}")
        settings, alerts = context.settings, context.alerts
        topics = Topics(config.prefix, config.node or settings.node_name)
        mode = config.discovery or settings.mqtt_discovery
        url = settings.public_url or None
        discovery = Discovery(topics, mode, service_version(), alerts is not None, config.allow_commands, url)
        catalogue = Catalogue.of(settings)
        sources = Sources(context.hub, context.store, context.database, context.supervisor, catalogue, alerts)
        switch = alerts if config.allow_commands else None
        wake = asyncio.Event()
        self._measures = Measures()
        self._sink_id = sink.id
        self._context = context
        self._topics = topics
        self._retained = RetainedTopics()
        self._retained.want(NODE, {**discovery.of_node(), topics.available: Retained(ONLINE, order=3)})
        self._watch = Watch(sources, discovery, self._retained, wake, self._count)
        self._publisher = Publisher(sink.id, self._watch, self._retained, wake, self._count, switch)
        self._broker = _broker(config, topics, sink.id)
        self._link = Link(self._broker, topics.available, self._publisher.serve, self._count)
        self._task: asyncio.Task[None] | None = None
        self._pictures: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Returns at once; a task connects."""
        self._task = asyncio.create_task(self._run(), name=f"mqtt {self._sink_id}")

    async def _run(self) -> None:
        self._retained.known.update(await self._published())
        watching = asyncio.create_task(self._watch.run(), name=f"mqtt streams {self._sink_id}")
        try:
            await self._link.run()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _published(self) -> Mapping[str, str | None]:
        while True:
            try:
                return await self._context.database.read(lambda session: table.published(session, self._sink_id))
            except StoreError as error:
                log.warning("MQTT: %s", error)
                await asyncio.sleep(REFRESH_S)

    def _count(self, cause: str) -> None:
        self._measures.count(f"mqtt_dropped_total:{cause}")

    # -- incidents

    async def send(self, message: OutboxMessage) -> Outcome:
        """Delivered when the broker has acknowledged it; while there is none it waits in the outbox."""
        if self._task is None:
            return await self._send_alone(message)
        client = await self._client(message)
        if client is None:
            return Retry(self._link.why)
        try:
            await self._send(client, message)
        except aiomqtt.MqttError as error:
            return Retry(in_words(error))
        self._take_picture(message)
        return Delivered()

    async def _send_alone(self, message: OutboxMessage) -> Outcome:
        """A test of a sink that is disabled, and so not open."""
        broker = replace(self._broker, identifier=f"{self._broker.identifier}-test")
        try:
            async with connected(broker, None, lambda: None) as client:
                await self._send(client, message)
        except OSError as error:
            return Retry(in_words(error))
        return Delivered()

    async def _send(self, client: aiomqtt.Client, message: OutboxMessage) -> None:
        for each in await self._told(message):
            await client.publish(each.topic, each.payload, qos=1)

    async def _client(self, message: OutboxMessage) -> aiomqtt.Client | None:
        """A test of a sink that was just made waits for its connection."""
        if message.type == "test.ping":
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._publisher.ready.wait(), ANSWER_S)
        return self._publisher.client

    async def _told(self, message: OutboxMessage) -> tuple[Told, ...]:
        before: dict[str, Any] | None = None
        incident_id = message.incident_id
        if incident_id is not None and is_of_incident(message):
            before = await self._context.database.read(
                lambda session: table.told_before(session, self._sink_id, incident_id, message.n)
            )
        return told(self._topics, message, before, self._watch.streams.get(message.stream_id or ""))

    def _take_picture(self, message: OutboxMessage) -> None:
        """One picture of a stream at a time: another incident's meanwhile is dropped."""
        stream_id, incident_id = message.stream_id, message.incident_id
        if message.type != "incident.started" or stream_id is None or incident_id is None:
            return
        if stream_id in self._pictures:
            return self._count("snapshot")
        task = asyncio.create_task(self._picture(stream_id, incident_id), name=f"mqtt picture {stream_id}")
        self._pictures[stream_id] = task
        task.add_done_callback(lambda _: self._pictures.pop(stream_id, None))
        return None

    async def _picture(self, stream_id: str, incident_id: str) -> None:
        try:
            picture = await self._context.snapshot(incident_id)
            if picture is None:
                picture = await self._context.supervisor.snapshot(stream_id, PICTURE_S)
        except (SnapshotUnavailable, OSError) as error:
            self._count("snapshot")
            log.info("MQTT: no picture of stream %s: %s", stream_id, error)
            return
        if len(picture) <= MAX_SNAPSHOT:
            self._watch.show(stream_id, picture)
        else:
            self._count("snapshot")

    # -- the end

    async def close(self, removed: bool) -> None:
        """Says that it goes, within a second; ``removed``: clears all its topics if the broker is there."""
        for task in tuple(self._pictures.values()):
            task.cancel()
        if self._task is None:
            return
        if self._publisher.client is not None:
            self._publisher.leave(removed)
            await asyncio.wait({self._task}, timeout=FAREWELL_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # -- metrics

    def measured(self) -> dict[str, Any]:
        """→ a snapshot for the metrics: whether it is connected, what was dropped."""
        self._measures.gauge("mqtt_connected", float(self._publisher.client is not None))
        self._measures.set_counter("mqtt_dropped_total:state", self._retained.superseded)
        return self._measures.snapshot()


def mqtt_sender(sink: SinkRecord, context: SenderContext) -> Sender:
    return MqttSender(sink, context)


def _broker(config: MqttConfig, topics: Topics, sink_id: str) -> Broker:
    identifier = f"actoscope-{topics.node}-{sink_id}"
    return Broker(config.host, config.port, identifier, config.tls, config.ca, config.username, config.password)
