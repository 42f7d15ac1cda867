"""What a broker is told of incidents and of the service: an outbox message in, publishes that are not retained out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.sinks.mqtt_discovery import event_type
from service.sinks.mqtt_state import WatchedStream
from service.sinks.mqtt_topics import Topics
from service.sinks.sender import OutboxMessage
from service.wire_messages import rfc3339

# Home Assistant does nothing with events that were retained: a broker would send old ones again at each start.
_KINDS = {
    "incident.started": "new",
    "incident.updated": "update",
    "incident.clip_ready": "update",
    "incident.ended": "end",
}
_MOMENTS = {"incident.started": "started", "incident.ended": "ended"}
_SHOWN = ("rule_id", "rule_name", "stream_id", "stream_name", "zone", "action", "severity", "people", "confidence")

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """A payload that is sent once and not retained."""

    topic: str
    payload: bytes


def is_of_incident(message: OutboxMessage) -> bool:
    return message.type in _KINDS and message.incident_id is not None


def told(topics: Topics, message: OutboxMessage, before: Data | None, stream: WatchedStream | None) -> tuple[Told, ...]:
    """``before``: the data of the incident's message before this one; ``stream`` None: it is no more."""
    if not is_of_incident(message):
        return (Told(topics.notices, _json({**_head(message), "data": message.data})),)
    body = {
        **_head(message),
        "type": _KINDS[message.type],
        "before": _incident(before),
        "after": _incident(message.data),
    }
    incident = Told(topics.incidents, _json(body))
    if stream is None or message.type not in _MOMENTS:
        return (incident,)
    return (incident, Told(topics.stream(stream.id, "event"), _event(message, stream)))


def _head(message: OutboxMessage) -> dict[str, Any]:
    """``id`` is the same where a message comes twice."""
    return {"type": message.type, "id": message.name, "timestamp": rfc3339(message.created_at)}


def _incident(data: Data | None) -> dict[str, Any] | None:
    if data is None:
        return None
    return {**data.get("incident", {}), "links": data.get("links", {})}


def _event(message: OutboxMessage, stream: WatchedStream) -> bytes:
    incident = message.data.get("incident", {})
    slug = stream.action_slugs.get(incident.get("action"), "incident")
    shown = {name: incident[name] for name in _SHOWN if name in incident}
    kind = event_type(slug, _MOMENTS[message.type])
    return _json({"event_type": kind, "incident_id": message.incident_id, "id": message.name, **shown})


def _json(value: Data) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
