"""What a broker should hold of the streams, as a pure value: messages of the hub in, retained payloads out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.sinks.mqtt_alerts import AlertState
from service.sinks.mqtt_topics import Topics, slugs
from service.stream_state import StreamState

MAX_ACTIONS = 64  # of a stream that have a topic of their own; the card's first
MAX_ZONES = 64
MAX_OPEN = 1024  # actions going on in a stream that are told apart; the oldest is taken as ended
MAX_SNAPSHOT = 1 << 20  # bytes of a picture
PEOPLE_PERIOD_S = 1.0  # counts of people change no faster

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WatchedStream:
    """A stream as far as a broker is told of it; ``actions`` are the labels watched for."""

    id: str
    name: str
    model: str
    actions: tuple[str, ...]
    zones: tuple[str, ...] = ()
    enabled: bool = True

    @property
    def action_slugs(self) -> dict[str, str]:
        """Of those that have topics; ``incident`` is the event of rules that name no action."""
        return slugs(self.actions[:MAX_ACTIONS], reserved=("incident",))

    @property
    def zone_slugs(self) -> dict[str, str]:
        return slugs(self.zones[:MAX_ZONES])


@dataclass(frozen=True, slots=True)
class Retained:
    """What a topic should hold; ``payload`` None: whatever it holds, since nothing is known yet.

    ``rows`` are remembered together with the topic (see ``mqtt_discovery``), lower ``order`` is published before.
    """

    payload: bytes | None
    period_s: float = 0.0
    order: int = 2
    rows: tuple[str, ...] = ()


@dataclass(slots=True)
class LiveStream:
    """What was heard of one stream. ``going`` maps events to their actions, in the order in which they began."""

    state: str = StreamState.STOPPED.value
    people: int | None = None
    zones: dict[str, int] = field(default_factory=dict)
    going: dict[str, str] = field(default_factory=dict)
    snapshot: bytes | None = None
    alerts: AlertState | None = None

    def hear(self, message: Message) -> None:
        """Takes an action, presence or stream message; others change nothing."""
        if message["type"] == "action":
            self._action(message)
        elif message["type"] == "presence":
            self.people = int(message["people"])
            self.zones = {name: int(zone["people"]) for name, zone in message["zones"].items()}
        elif message["type"] == "stream":
            self._stream(str(message["state"]))

    def _action(self, message: Message) -> None:
        if message["kind"] == "ended":
            self.going.pop(message["event_id"], None)
        else:
            self.going[message["event_id"]] = message["action"]
        while len(self.going) > MAX_OPEN:
            self.going.pop(next(iter(self.going)))

    def _stream(self, state: str) -> None:
        self.state = state
        if state != StreamState.RUNNING.value:
            self.people, self.zones = 0, {}

    @property
    def status(self) -> str:
        return "online" if self.state == StreamState.RUNNING.value else "offline"


def state_of(topics: Topics, stream: WatchedStream, live: LiveStream) -> dict[str, Retained]:
    """→ all that one stream's topics should hold."""
    status = live.status if stream.enabled else "disabled"
    return {
        topics.stream(stream.id, "status"): _text(status),
        topics.stream(stream.id, "people"): _count(live.people),
        topics.stream(stream.id, "snapshot"): Retained(live.snapshot),
        **_zones(topics, stream, live),
        **_actions(topics, stream, live),
        **_alerts(topics, stream, live.alerts),
    }


def _zones(topics: Topics, stream: WatchedStream, live: LiveStream) -> dict[str, Retained]:
    unseen = None if live.people is None else 0
    return {
        topics.stream(stream.id, "zone", slug, "people"): _count(live.zones.get(zone, unseen))
        for zone, slug in stream.zone_slugs.items()
    }


def _actions(topics: Topics, stream: WatchedStream, live: LiveStream) -> dict[str, Retained]:
    going = set(live.going.values())
    return {
        topics.stream(stream.id, "action", slug): _text("ON" if action in going else "OFF")
        for action, slug in stream.action_slugs.items()
    }


def _alerts(topics: Topics, stream: WatchedStream, alerts: AlertState | None) -> dict[str, Retained]:
    if alerts is None:
        return {}
    return {
        topics.stream(stream.id, "alerts", "state"): _text("ON" if alerts.on else "OFF"),
        topics.stream(stream.id, "alerts", "suspended"): _text(str(int(alerts.suspended_until or 0))),
    }


def _text(text: str) -> Retained:
    return Retained(text.encode())


def _count(people: int | None) -> Retained:
    return Retained(None if people is None else str(people).encode(), PEOPLE_PERIOD_S)


def live_streams(
    states: Mapping[str, str], going: Sequence[tuple[str, str, str]], before: Mapping[str, LiveStream]
) -> dict[str, LiveStream]:
    """→ a beginning: every stream's state, and the (stream, event, action) going on. Pictures and alerts stay."""
    live = {stream_id: LiveStream() for stream_id in states}
    for stream_id, state in states.items():
        old = before.get(stream_id)
        live[stream_id].hear({"type": "stream", "state": state})
        if old is not None:
            live[stream_id].snapshot, live[stream_id].alerts = old.snapshot, old.alerts
    for stream_id, event_id, action in going:
        if stream_id in live:
            live[stream_id].going[event_id] = action
    return live
