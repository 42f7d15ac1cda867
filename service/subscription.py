"""One websocket subscriber's place in the hub: what it wants, what waits for it, what was left out."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.rights import Principal
from service.wire_messages import message_time, without_places

Message = Mapping[str, Any]


class SubscriberTooSlow(Exception):
    """The queue of messages that must not be lost is full: the subscriber has to go and resume with ``since_seq``."""


class SubscriptionClosed(Exception):
    """The hub is closing."""


async def rung(bell: asyncio.Event, timeout_s: float | None) -> None:
    """Returns when the bell is set, or after ``timeout_s``.

    ``asyncio.wait_for`` forgets (until Python 3.12) that it was cancelled if the bell is set at that moment: a loop
    around it then never ends, nor does whoever waits for its end.
    """
    waiting = asyncio.ensure_future(bell.wait())
    try:
        await asyncio.wait({waiting}, timeout=timeout_s)
    finally:
        waiting.cancel()


def to_text(message: Message) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """Empty sets mean everything. ``streams`` concerns all messages, ``actions`` and ``min_confidence`` labels only,
    ``exercises`` repetitions only, ``rules`` and ``severities`` incidents only.

    An ``ended`` message always passes ``min_confidence``: who heard of a start must hear of the end.
    """

    streams: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    min_confidence: float = 0.0
    rules: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    exercises: frozenset[str] = frozenset()

    @property
    def selects_labels(self) -> bool:
        return bool(self.actions) or self.min_confidence > 0

    def passes(self, message: Message) -> bool:
        if self.streams and message["stream_id"] not in self.streams:
            return False
        if message["type"] == "incident":
            return _in(self.rules, message["rule_id"]) and _in(self.severities, message["severity"])
        if message["type"] == "repetition":
            return _in(self.exercises, message["exercise"])
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


def _in(wanted: frozenset[str], value: str) -> bool:
    return not wanted or value in wanted


class Subscription:
    """Filled by the hub without ever waiting, emptied by one sending task with ``next_message``.

    Action and stream messages wait in a queue bounded by ``limit``; a full one ends the subscription. Of ``tracks``
    messages only the newest of each stream waits, until ``period_s`` has passed since the stream's last one.
    Whatever is wanted, nothing passes that ``who`` subscribed may not see.
    """

    def __init__(
        self,
        wanted: SubscriptionFilter,
        who: Principal,
        limit: int,
        period_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.filter = wanted
        self.who = who
        self.tracks_dropped = 0
        self._limit = limit
        self._period_s = period_s
        self._clock = clock
        self._ordered: deque[tuple[str | None, str]] = deque()  # stream it tells of, None: of none; text
        self._tracks: dict[str, Message | str] = {}
        self._due: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._end: Exception | None = None

    def offer(self, message: Message, text: str) -> None:
        """An action or stream message, already encoded. Never waits."""
        if self._end is None and self.passes(message):
            told = self.told(message)
            self.offer_text(text if told is message else to_text(told), message["stream_id"])

    def passes(self, message: Message) -> bool:
        """Whether it is wanted and may be seen, as something that happens now."""
        return self.who.visible.sees(message["stream_id"]) and self.filter.passes(message)

    def passes_later(self, message: Message) -> bool:
        """The same for a message of the past. One without a time is shown to those who may see all of the past."""
        at = message_time(message)
        return self.passes(message) and self.who.visible.sees(message["stream_id"], -math.inf if at is None else at)

    def told(self, message: Message) -> Message:
        """→ the message as this subscriber may know it: the reason of a state may say where the camera is."""
        if message["type"] != "stream" or self.who.may("streams:write", message["stream_id"]):
            return message
        return {**message, "reason": without_places(message["reason"])}

    def restrict(self, who: Principal) -> None:
        """Other rights from now on. What waits of a stream that may not be seen any more is not sent."""
        self.who, visible = who, who.visible
        self._ordered = deque(item for item in self._ordered if item[0] is None or visible.sees(item[0]))
        self._tracks = {stream_id: text for stream_id, text in self._tracks.items() if visible.sees(stream_id)}

    def offer_text(self, text: str, stream_id: str | None = None) -> None:
        """Anything that must arrive in order, such as a pong."""
        if len(self._ordered) >= self._limit:
            self.end(SubscriberTooSlow(f"{self._limit} messages wait"))
            return
        self._ordered.append((stream_id, text))
        self._wake.set()

    def offer_tracks(self, message: Message, text: str) -> None:
        """Takes the place of a waiting one of the same stream, which counts as dropped."""
        if self._end is not None or not self.passes(message):
            return
        stream_id = message["stream_id"]
        self.tracks_dropped += stream_id in self._tracks
        self._tracks[stream_id] = self.filter.select_tracks(message) if self.filter.selects_labels else text
        self._wake.set()

    def end(self, reason: Exception) -> None:
        """``next_message`` raises ``reason`` from now on, whatever waits."""
        if self._end is None:
            self._end = reason
            self._ordered.clear()
            self._tracks.clear()
        self._wake.set()

    async def next_message(self) -> tuple[str | None, str]:
        """Waits for the next one. → (the stream that it tells of, None: of none; its text).

        Raises SubscriberTooSlow or SubscriptionClosed.
        """
        while True:
            self._wake.clear()
            if self._end is not None:
                raise self._end
            if self._ordered:
                return self._ordered.popleft()
            now = self._clock()
            tracks = self._take_tracks(now)
            if tracks is not None:
                return tracks
            await self._wait(now)

    def _take_tracks(self, now: float) -> tuple[str, str] | None:
        for stream_id, waiting in self._tracks.items():
            due = self._due.get(stream_id, 0.0)
            if due <= now:
                # Counted from the due time where the message is only a little late: else every delay adds up and
                # 10 a second become 9.
                self._due[stream_id] = (due if now - due < self._period_s / 2 else now) + self._period_s
                del self._tracks[stream_id]
                return stream_id, waiting if isinstance(waiting, str) else to_text(waiting)
        return None

    async def _wait(self, now: float) -> None:
        timeout_s = min((self._due[stream_id] - now for stream_id in self._tracks), default=None)
        await rung(self._wake, timeout_s)  # or a tracks message is due
