"""Everything that leaves by websocket passes here: numbered, stored, then handed to every subscriber.

Runs on the event loop. Action, repetition, presence and stream messages get their ``seq`` at once, are stored in
batches and only then sent, so that whatever a subscriber saw can be replayed. ``tracks`` messages are neither numbered
nor stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from service.rights import Principal
from service.storage.database import StoreError
from service.storage.store import Store
from service.subscription import (
    Message,
    Subscription,
    SubscriptionClosed,
    SubscriptionFilter,
    rung,
    to_text,
)
from service.wire_messages import ended_after_crash, ended_at, to_stream_message, with_number

log = logging.getLogger(__name__)

MAX_BATCH = 512
MAX_WAITING = 4096  # messages that wait to be stored; then publishers wait
MAX_UNSTORED = 10_000  # kept while the database fails, to be stored when it is back
RETRY_S = 1.0
FLUSH_S = 3.0

Numbered = dict[str, Any]


class Hub:
    """Publish and subscribe. ``seq`` is the number of the last message that was sent."""

    def __init__(self, store: Store, queue_limit: int = 256, tracks_hz: float = 10.0) -> None:
        self._store = store
        self._queue_limit = queue_limit
        self._tracks_period_s = 1.0 / tracks_hz
        self.seq = 0
        self._given = 0  # the last number given; those after ``seq`` are on their way
        self._waiting: deque[Numbered] = deque()
        self._unstored: deque[Numbered] = deque()
        self._retry_at = 0.0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._subscriptions: set[Subscription] = set()
        self._open_events: dict[str, Numbered] = {}
        self._last_seen: dict[str, tuple[float, str]] = {}  # stream → (time_s, captured_at) of its newest tracks
        self._counters = dict.fromkeys(COUNTERS, 0)
        self.on_stream: list[Callable[[Message], None]] = []  # called with each stream message; must not wait
        self.on_sent: list[Callable[[], None]] = []  # called after numbered messages were sent; must not wait

    async def open(self) -> None:
        """Goes on from the stored number, ends the actions and stops the streams that a crash left open."""
        self.seq = self._given = await self._store.last_seq()
        self._task = asyncio.create_task(self._deliver_forever(), name="hub")
        for event in await self._store.open_events():
            await self.publish_action(ended_after_crash(event))
        for stream_id in await self._store.left_running():  # nobody knows who has been in view since
            await self._give_number(to_stream_message(stream_id, "stopped", None, "the service ended and began anew"))
        await self.flush()

    async def close(self) -> None:
        """Sends what waits, then ends every subscription."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.flush(), FLUSH_S)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for subscription in tuple(self._subscriptions):
            subscription.end(SubscriptionClosed("the service stops"))

    async def flush(self) -> None:
        """Returns when everything published so far is sent."""
        await self._idle.wait()

    # -- publish

    async def publish_tracks(self, message: Message) -> None:
        self._last_seen[message["stream_id"]] = (message["time_s"], message["captured_at"])
        self._counters["tracks_messages_total"] += 1
        text = to_text(message)
        for subscription in self._subscriptions:
            subscription.offer_tracks(message, text)

    async def publish_action(self, message: Message) -> None:
        """Waits only where MAX_WAITING messages are not stored yet."""
        numbered = await self._give_number(message)
        if message["kind"] == "ended":
            self._open_events.pop(message["event_id"], None)
        else:
            self._open_events[message["event_id"]] = numbered

    async def publish_repetition(self, message: Message) -> None:
        await self._give_number(message)

    async def publish_presence(self, message: Message) -> None:
        await self._give_number(message)

    async def publish_stream(self, message: Message) -> None:
        await self._give_number(message)
        for listener in self.on_stream:
            listener(message)

    async def publish_incident(self, message: Message) -> None:
        """What the alert engine found; it reads the log itself and knows its own messages there."""
        await self._give_number(message)

    async def end_open_events(self, stream_id: str) -> None:
        """Publishes the end of all that goes on in a stream whose process is gone."""
        left = [message for message in self._open_events.values() if message["stream_id"] == stream_id]
        for message in left:
            await self.publish_action(self._ended(message))

    def forget_stream(self, stream_id: str) -> None:
        self._last_seen.pop(stream_id, None)

    def _ended(self, message: Numbered) -> Message:
        """The end is when the stream was last seen."""
        start = (message["start_s"], message["captured_at"])
        return ended_at(message, *self._last_seen.get(message["stream_id"], start))

    async def _give_number(self, message: Message) -> Numbered:
        to_text(message)  # raises ValueError here, at the publisher, for what JSON cannot hold
        while len(self._waiting) >= MAX_WAITING:
            self._room.clear()
            await self._room.wait()
        self._given += 1
        numbered = with_number(message, self._given)
        self._waiting.append(numbered)
        self._counters["messages_total"] += 1
        self._idle.clear()
        self._wake.set()
        return numbered

    # -- deliver

    async def _deliver_forever(self) -> None:
        while True:
            timeout_s = RETRY_S if self._unstored else None
            await rung(self._wake, timeout_s)
            self._wake.clear()
            batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            self._room.set()
            await self._keep(batch)
            self._fan_out(batch)
            for listener in self.on_sent if batch else ():
                listener()
            if self._waiting:
                self._wake.set()
            else:
                self._idle.set()

    async def _keep(self, batch: list[Numbered]) -> None:
        """A database that fails stops no label: the batch waits to be stored later, bounded."""
        self._unstored.extend(batch)
        if not self._unstored or time.monotonic() < self._retry_at:
            return self._bound_unstored()
        pending = list(self._unstored)
        try:
            await self._store.append(pending)
        except StoreError as error:
            self._retry_at = time.monotonic() + RETRY_S
            self._counters["store_failures_total"] += 1
            log.error("%d messages are sent but not stored, trying again: %s", len(pending), error)
            return self._bound_unstored()
        except Exception:  # the task's outermost frame: one bad message must not end all delivery
            self._counters["messages_lost_total"] += len(pending)
            log.exception("%d messages are sent but cannot be stored", len(pending))
        self._unstored.clear()
        return None

    def _bound_unstored(self) -> None:
        while len(self._unstored) > MAX_UNSTORED:
            self._unstored.popleft()
            self._counters["messages_lost_total"] += 1

    def _fan_out(self, batch: list[Numbered]) -> None:
        for message in batch:
            text = to_text(message)  # cannot fail: it was tried when the number was given
            for subscription in self._subscriptions:
                subscription.offer(message, text)
            self.seq = message["seq"]

    # -- subscribe

    def subscribe(self, wanted: SubscriptionFilter, who: Principal) -> Subscription:
        """From now on; messages up to ``seq`` have to be replayed by ``replay``. ``unsubscribe`` it in the end."""
        subscription = Subscription(wanted, who, self._queue_limit, self._tracks_period_s)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        self._counters["tracks_dropped_total"] += subscription.tracks_dropped

    def note(self, counter: str) -> None:
        """Counts what happens to a subscriber outside: ``subscribers_cut_total``, ``live_pictures_replaced_total``."""
        self._counters[counter] += 1

    @property
    def subscribers(self) -> int:
        return len(self._subscriptions)

    async def replay(self, after: int, until: int, to: Subscription) -> tuple[list[Message], int]:
        """A portion of the log after ``after``. → (those that pass, the number to go on from; ``until`` when done)."""
        unstored = list(self._unstored)  # before the store is read: they may be stored meanwhile, never the reverse
        stored = await self._store.replay((after, until), MAX_BATCH, to.who.visible, tuple(to.filter.streams))
        reached = stored[-1]["seq"] if len(stored) == MAX_BATCH else until
        newest = stored[-1]["seq"] if stored else after
        late = [message for message in unstored if newest < message["seq"] <= reached]
        return [to.told(message) for message in (*stored, *late) if to.passes_later(message)], reached

    def measures(self) -> dict[str, Any]:
        """→ a snapshot like ``Measures.snapshot``, for the metrics."""
        dropped = sum(subscription.tracks_dropped for subscription in self._subscriptions)
        counters = {**self._counters, "tracks_dropped_total": self._counters["tracks_dropped_total"] + dropped}
        gauges = {"subscribers": len(self._subscriptions), "seq": self.seq, "messages_unstored": len(self._unstored)}
        return {"counters": counters, "gauges": gauges, "histograms": {}}


COUNTERS = (
    "messages_total",
    "messages_lost_total",
    "tracks_messages_total",
    "tracks_dropped_total",
    "store_failures_total",
    "subscribers_cut_total",
    "live_pictures_replaced_total",
)
