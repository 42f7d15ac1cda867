"""One websocket subscriber's place in the hub: what it wants, what waits for it, what was left out."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]


class SubscriberTooSlow(Exception):
    """The queue of messages that must not be lost is full: the subscriber has to go and resume with ``since_seq``."""


class SubscriptionClosed(Exception):
    """The hub is closing."""


def to_text(message: Message) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """Empty sets mean everything. ``streams`` concerns all messages, ``actions`` and ``min_confidence`` labels only.

    An ``ended`` message always passes ``min_confidence``: who heard of a start must hear of the end.
    """

    streams: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    min_confidence: float = 0.0

    @property
    def selects_labels(self) -> bool:
        return bool(self.actions) or self.min_confidence > 0

    def passes(self, message: Message) -> bool:
        if self.streams and message["stream_id"] not in self.streams:
            return False
        if message["type"] != "action":
            return True
        wanted = not self.actions or message["action"] in self.actions
        return wanted and (message["kind"] == "ended" or (message["confidence"] or 0.0) >= self.min_confidence)

    def select_tracks(self, message: Message) -> Message:
        """→ a ``tracks`` message with only those tracks whose present label is wanted."""
        if not self.selects_labels:
            return message
        return {**message, "tracks": [track for track in message["tracks"] if self._wants(track)]}

    def _wants(self, track: Message) -> bool:
        wanted = not self.actions or track["action"] in self.actions
        return wanted and (track["confidence"] or 0.0) >= self.min_confidence


class Subscription:
    """Filled by the hub without ever waiting, emptied by one sending task with ``next_text``.

    Action and stream messages wait in a queue bounded by ``limit``; a full one ends the subscription. Of ``tracks``
    messages only the newest of each stream waits, until ``period_s`` has passed since the stream's last one.
    """

    def __init__(
        self, wanted: SubscriptionFilter, limit: int, period_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.filter = wanted
        self.tracks_dropped = 0
        self._limit = limit
        self._period_s = period_s
        self._clock = clock
        self._ordered: deque[str] = deque()
        self._tracks: dict[str, Message | str] = {}
        self._due: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._end: Exception | None = None

    def offer(self, message: Message, text: str) -> None:
        """An action or stream message, already encoded. Never waits."""
        if self._end is None and self.filter.passes(message):
            self.offer_text(text)

    def offer_text(self, text: str) -> None:
        """Anything else that must arrive in order, such as a pong."""
        if len(self._ordered) >= self._limit:
            self.end(SubscriberTooSlow(f"{self._limit} messages wait"))
            return
        self._ordered.append(text)
        self._wake.set()

    def offer_tracks(self, message: Message, text: str) -> None:
        """Takes the place of a waiting one of the same stream, which counts as dropped."""
        if self._end is not None or not self.filter.passes(message):
            return
        stream_id = message["stream_id"]
        self.tracks_dropped += stream_id in self._tracks
        self._tracks[stream_id] = self.filter.select_tracks(message) if self.filter.selects_labels else text
        self._wake.set()

    def end(self, reason: Exception) -> None:
        """``next_text`` raises ``reason`` from now on, whatever waits."""
        if self._end is None:
            self._end = reason
            self._ordered.clear()
            self._tracks.clear()
        self._wake.set()

    async def next_text(self) -> str:
        """Waits for the next message. Raises SubscriberTooSlow or SubscriptionClosed."""
        while True:
            self._wake.clear()
            if self._end is not None:
                raise self._end
            if self._ordered:
                return self._ordered.popleft()
            now = self._clock()
            text = self._take_tracks(now)
            if text is not None:
                return text
            await self._wait(now)

    def _take_tracks(self, now: float) -> str | None:
        for stream_id, waiting in self._tracks.items():
            due = self._due.get(stream_id, 0.0)
            if due <= now:
                # Counted from the due time where the message is only a little late: else every delay adds up and
                # 10 a second become 9.
                self._due[stream_id] = (due if now - due < self._period_s / 2 else now) + self._period_s
                del self._tracks[stream_id]
                return waiting if isinstance(waiting, str) else to_text(waiting)
        return None

    async def _wait(self, now: float) -> None:
        timeout_s = min((self._due[stream_id] - now for stream_id in self._tracks), default=None)
        try:
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        except asyncio.TimeoutError:
            return  # a tracks message is due
