"""Follows streams, labels and alerts for one broker: hub, database and supervisor in, groups of retained topics out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.catalogue import Catalogue
from service.hub import Hub
from service.rights import LOCAL
from service.sinks.mqtt_alerts import AlertState, AlertSwitch
from service.sinks.mqtt_discovery import Discovery
from service.sinks.mqtt_retained import NODE, RetainedTopics
from service.sinks.mqtt_state import LiveStream, Retained, WatchedStream, live_streams, state_of
from service.sinks.mqtt_topics import Topics
from service.storage import mqtt as table
from service.storage.database import Database, StoreError
from service.storage.store import Store
from service.subscription import SubscriberTooSlow, SubscriptionClosed, SubscriptionFilter, rung
from service.supervisor_protocol import Supervisor

log = logging.getLogger(__name__)

REFRESH_S = 5.0  # streams, zones and alerts are looked at as often, and when a stream says something
LABELS_S = 60.0  # networks' labels
SOON_S = 0.2  # several messages of one change make one look


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a broker's state comes from. ``alerts`` None: nobody can switch them."""

    hub: Hub
    store: Store
    database: Database
    supervisor: Supervisor
    catalogue: Catalogue
    alerts: AlertSwitch | None = None


@dataclass(frozen=True, slots=True)
class NumberedOnly(SubscriptionFilter):
    """Ten ``tracks`` messages a second are not for a broker; ``presence`` counts for them."""

    def passes(self, message: Mapping[str, Any]) -> bool:
        return bool(message["type"] != "tracks")


class Watch:
    """Keeps ``retained`` as they should be. ``wake`` is set at each change, ``count`` called for what was lost."""

    def __init__(
        self,
        sources: Sources,
        discovery: Discovery,
        retained: RetainedTopics,
        wake: asyncio.Event,
        count: Callable[[str], None],
    ) -> None:
        self.streams: dict[str, WatchedStream] = {}
        self._sources = sources
        self._discovery = discovery
        self._retained = retained
        self._wake = wake
        self._count = count
        self._live: dict[str, LiveStream] = {}
        self._discovered: dict[str, tuple[WatchedStream, dict[str, Retained]]] = {}
        self._look = asyncio.Event()
        self.begun = asyncio.Event()  # before, nobody knows which topics are wanted
        self._labels: dict[str, tuple[str, ...]] = {}
        self._labels_at = 0.0
        self._versions: dict[str, str] = {}  # model → the version that serves

    @property
    def topics(self) -> Topics:
        return self._discovery.topics

    @property
    def database(self) -> Database:
        return self._sources.database

    async def run(self) -> None:
        """Until it is cancelled, or the hub closes."""
        looking = asyncio.create_task(self._look_forever(), name="mqtt streams")
        try:
            while await self._follow():
                self._count("messages")
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking

    async def refresh(self) -> None:
        """Reads streams, zones and alerts. Raises StoreError."""
        names = await self._sources.database.read(table.stream_names)
        versions = {each.model: self._sources.catalogue.serving(each.model) for each in names}
        if versions != self._versions:  # another one may have other labels
            self._versions, self._labels_at = versions, 0.0
        await self._read_labels({each.model for each in names})
        self.streams = {each.id: self._watched(each) for each in names}
        alerts = await self._alerts()
        for stream_id in self.streams:
            self._heard(stream_id).alerts = alerts.get(stream_id)
        for gone in self._live.keys() - self.streams.keys():
            del self._live[gone]
            self._discovered.pop(gone, None)
        self._retained.keep_only((NODE, *self.streams))
        self._wake.set()
        for stream_id in self.streams:
            self._want(stream_id)

    def look(self) -> None:
        """Something may have changed: ``refresh`` soon."""
        self._look.set()

    def show(self, stream_id: str, snapshot: bytes) -> None:
        """Takes a stream's newest picture."""
        if stream_id in self.streams:
            self._heard(stream_id).snapshot = snapshot
            self._want(stream_id)

    # -- the hub

    async def _follow(self) -> bool:
        """→ whether to begin anew, having been too slow."""
        subscription = self._sources.hub.subscribe(NumberedOnly(), LOCAL)
        try:
            await self._begin()
            while True:
                _, text = await subscription.next_message()
                self._hear(json.loads(text))
        except SubscriberTooSlow:
            return True
        except SubscriptionClosed:
            return False
        finally:
            self._sources.hub.unsubscribe(subscription)

    async def _begin(self) -> None:
        """What goes on now, as far as supervisor and store know; the rest comes as messages."""
        while True:
            try:
                events = await self._sources.store.open_events()
                await self.refresh()
                break
            except StoreError as error:
                log.warning("MQTT: %s", error)
                await asyncio.sleep(REFRESH_S)
        states = {stream_id: self._state(stream_id) for stream_id in self.streams}
        going = [(event.stream_id, event.id, event.action) for event in events]
        self._live = live_streams(states, going, self._live)
        for stream_id in self.streams:
            self._want(stream_id)
        self.begun.set()

    def _hear(self, message: Mapping[str, Any]) -> None:
        stream_id = message["stream_id"]
        if stream_id in self.streams:
            self._heard(stream_id).hear(message)
            self._want(stream_id)
        if message["type"] == "stream":
            self.look()

    def _heard(self, stream_id: str) -> LiveStream:
        if stream_id not in self._live:
            self._live[stream_id] = LiveStream(self._state(stream_id))
        return self._live[stream_id]

    def _state(self, stream_id: str) -> str:
        return self._sources.supervisor.status(stream_id).state.value

    def _want(self, stream_id: str) -> None:
        stream, live = self.streams[stream_id], self._heard(stream_id)
        state = state_of(self._discovery.topics, stream, live)
        self._retained.want(stream_id, {**self._discovered_of(stream), **state})
        self._wake.set()

    def _discovered_of(self, stream: WatchedStream) -> dict[str, Retained]:
        """The same as long as the stream is."""
        before, topics = self._discovered.get(stream.id, (None, {}))
        if before != stream:
            topics = self._discovery.of_stream(stream, self._retained.known)
            self._discovered[stream.id] = (stream, topics)
        return topics

    # -- the database

    async def _look_forever(self) -> None:
        while True:
            await rung(self._look, REFRESH_S)
            await asyncio.sleep(SOON_S if self._look.is_set() else 0)
            self._look.clear()
            try:
                await self.refresh()
            except StoreError as error:
                log.warning("MQTT: %s", error)
            except Exception:  # the task's outermost frame
                log.exception("MQTT: streams cannot be looked at")

    def _watched(self, stream: table.StreamNames) -> WatchedStream:
        actions = self._labels.get(stream.model, ()) if stream.actions is None else stream.actions
        version = self._versions.get(stream.model, stream.model)
        return WatchedStream(stream.id, stream.name, version, actions, stream.zones, stream.enabled)

    async def _read_labels(self, models: set[str]) -> None:
        now = time.monotonic()
        if models <= self._labels.keys() and now < self._labels_at + LABELS_S and self._labels_at:
            return
        cards = await self._sources.catalogue.cards()
        found = {model: cards[model].labels for model in models & cards.keys()}
        self._labels = {model: found.get(model, self._labels.get(model, ())) for model in models}
        self._labels_at = now

    async def _alerts(self) -> dict[str, AlertState]:
        switch = self._sources.alerts
        if switch is None:
            return {}
        return {stream_id: await switch.state(stream_id) for stream_id in self.streams}
