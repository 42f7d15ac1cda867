"""One connection's traffic: retained topics out as they change, commands and births in."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import aiomqtt

from service.sinks.mqtt_alerts import AlertSwitch, CommandRefused, command
from service.sinks.mqtt_connection import OFFLINE, ONLINE, WINDOW
from service.sinks.mqtt_retained import Publish, RetainedTopics
from service.sinks.mqtt_topics import HOME_ASSISTANT_STATUS
from service.sinks.mqtt_watch import Watch
from service.storage import mqtt as table
from service.storage.database import StoreError
from service.subscription import rung

log = logging.getLogger(__name__)

BIRTH_JITTER_S = (0.5, 5.0)  # after Home Assistant's start, which all its devices hear at once


class Publisher:
    """``serve`` is the session of a Link. ``client`` is there while messages can be sent."""

    def __init__(
        self,
        sink_id: str,
        watch: Watch,
        retained: RetainedTopics,
        wake: asyncio.Event,
        count: Callable[[str], None],
        switch: AlertSwitch | None = None,
    ) -> None:
        """``wake`` is set when something is to be sent; ``switch``: None where the broker may command nothing."""
        self.client: aiomqtt.Client | None = None
        self.ready = asyncio.Event()
        self._sink_id = sink_id
        self._topics = watch.topics
        self._database = watch.database
        self._retained = retained
        self._watch = watch
        self._count = count
        self._switch = switch
        self._wake = wake
        self._again_at: float | None = None  # all of it, since Home Assistant has started (monotonic)
        self._leaving = asyncio.Event()
        self._removed = False

    def leave(self, removed: bool) -> None:
        """Ends ``serve`` with a farewell; ``removed``: the broker forgets us."""
        self._removed = removed
        self._leaving.set()

    async def serve(self, client: aiomqtt.Client) -> None:
        """Returns after ``leave``. Raises aiomqtt's errors when the connection is lost, StoreError."""
        await self._watch.begun.wait()
        for topic in self._subscriptions():
            granted = await client.subscribe(topic, qos=1)
            if any((code if isinstance(code, int) else code.value) >= 128 for code in granted):
                log.warning("MQTT: the broker lets us not hear %s", topic)
        self._retained.send_all()
        await self._clear_orphans(client)
        await self._send_due(client)
        await self._database.write(lambda session: table.hasten(session, self._sink_id, time.time()))
        self.client = client
        self.ready.set()
        try:
            await _first_of(self._outgoing(client), self._incoming(client), self._until_leaving())
        finally:
            self.client = None
            self.ready.clear()
        await self._farewell(client)

    def _subscriptions(self) -> list[str]:
        commands = [f"{self._topics.root}/+/alerts/{verb}" for verb in ("set", "suspend")]
        return [HOME_ASSISTANT_STATUS, self._topics.available, *(commands if self._switch is not None else [])]

    async def _until_leaving(self) -> None:
        await self._leaving.wait()

    async def _farewell(self, client: aiomqtt.Client) -> None:
        if self._removed:
            self._retained.close()
            await self._send_due(client)
            await self._database.write(lambda session: table.forget_all(session, self._sink_id))
        else:
            await client.publish(self._topics.available, OFFLINE, qos=1, retain=True)

    # -- out

    async def _outgoing(self, client: aiomqtt.Client) -> None:
        while True:
            self._wake.clear()
            if self._again_at is not None and self._again_at <= time.monotonic():
                self._again_at = None
                self._retained.send_all()
            await self._send_due(client)
            times = [at for at in (self._retained.next_due(), self._again_at) if at is not None]
            wait_s = max(0.0, min(times) - time.monotonic()) if times else None
            await rung(self._wake, wait_s)

    async def _send_due(self, client: aiomqtt.Client) -> None:
        """What is sent first is acknowledged before what follows, so that no state comes before its device."""
        publishes = self._retained.due(time.monotonic())
        await self._remember(publishes)
        cleared: list[str] = []
        for _, same in itertools.groupby(publishes, key=lambda publish: publish.order):
            for window in _windows(list(same)):
                await asyncio.gather(*(_publish(client, each) for each in window))
                now = time.monotonic()
                cleared += itertools.chain.from_iterable(self._retained.done(each, now) for each in window)
        if cleared:
            await self._database.write(lambda session: table.forget(session, self._sink_id, cleared))

    async def _remember(self, publishes: Iterable[Publish]) -> None:
        rows = self._retained.unknown_rows(publishes)
        if rows:
            await self._database.write(lambda session: table.remember(session, self._sink_id, rows))
            self._retained.known.update(rows)

    async def _clear_orphans(self, client: aiomqtt.Client) -> None:
        """Topics of sinks that were deleted while the broker was away; on another broker nothing comes of it."""
        topics = sorted(await self._database.read(table.orphans))
        if not topics:
            return
        clear = [Publish(topic, b"", -1) for topic in topics if self._retained.is_strange(topic)]
        for window in _windows(clear):
            await asyncio.gather(*(_publish(client, each) for each in window))
        await self._database.write(lambda session: table.forget_orphans(session, topics))

    # -- in

    async def _incoming(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            await self._hear(message)

    async def _hear(self, message: aiomqtt.Message) -> None:
        if _is(message, HOME_ASSISTANT_STATUS):
            if not message.retain and message.payload == ONLINE and self._again_at is None:
                jitter_s = random.uniform(*BIRTH_JITTER_S)  # noqa: S311 - spreads load, guards nothing
                self._again_at = time.monotonic() + jitter_s
                self._wake.set()
        elif _is(message, self._topics.available):
            # The will of an older connection may come late.
            if not message.retain and message.payload != ONLINE:
                self._retained.send_again(self._topics.available)
                self._wake.set()
        elif self._switch is not None:
            await self._command(self._switch, message)

    async def _command(self, switch: AlertSwitch, message: aiomqtt.Message) -> None:
        topic = str(message.topic)
        stream_id, _, verb = topic.removeprefix(f"{self._topics.root}/").partition("/alerts/")
        try:
            if message.retain:
                raise CommandRefused("it was retained: one given before this connection is none any more")
            if stream_id not in self._watch.streams:
                raise CommandRefused("there is no such stream")
            await command(switch, stream_id, verb, bytes(message.payload), time.time())
            log.info("MQTT: %s", topic)
            self._watch.look()
        except (CommandRefused, StoreError) as error:
            self._count("commands")
            log.warning("MQTT: a command under %s was not obeyed: %s", topic[:200], error)


def _is(message: aiomqtt.Message, topic: str) -> bool:
    return str(message.topic) == topic


async def _publish(client: aiomqtt.Client, publish: Publish) -> None:
    """Returns when the broker has it."""
    await client.publish(publish.topic, publish.payload, qos=1, retain=True)


def _windows(publishes: list[Publish]) -> Iterable[list[Publish]]:
    return (publishes[start : start + WINDOW] for start in range(0, len(publishes), WINDOW))


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Returns or raises as the first of them does; the others are ended."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
