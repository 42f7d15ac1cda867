"""What the engine decided, and how it is told: to the store, on the websocket, in messages to sinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from service.alerts.state import Hour, Incident
from service.wire_messages import rfc3339, without_places

Kind = Literal["started", "updated", "ended", "clip_ready"]


@dataclass(frozen=True, slots=True)
class Change:
    """One moment of an incident's life, at Unix time ``at``; the incident as it is then."""

    kind: Kind
    at: float
    incident: Incident


@dataclass(frozen=True, slots=True)
class Summary:
    """What a rule held back in an hour because it had told of as many incidents as it may."""

    rule_id: str
    hour: Hour
    at: float


@dataclass(frozen=True, slots=True)
class StreamTold:
    """A stream failed, or is back. ``n`` counts these of one stream."""

    kind: Literal["failed", "recovered"]
    stream_id: str
    at: float
    n: int
    code: str | None
    reason: str


Changed = Change | Summary | StreamTold


def to_incident_message(change: Change, links: Mapping[str, str | None]) -> dict[str, Any]:
    """The websocket's. The hub adds ``seq``; ``n`` numbers the messages of one incident."""
    incident = change.incident
    return {
        "type": "incident",
        "kind": change.kind,
        "incident_id": incident.id,
        "stream_id": incident.stream_id,
        **_facts(change),
        "captured_at": rfc3339(change.at),
        **links,
    }


def to_incident_data(change: Change, stream_name: str, links: Mapping[str, str | None]) -> dict[str, Any]:
    """The ``data`` of a message to a sink."""
    incident = change.incident
    about = {"id": incident.id, "stream_id": incident.stream_id, "stream_name": stream_name}
    return {"incident": {**about, **_facts(change)}, "links": dict(links)}


def _facts(change: Change) -> dict[str, Any]:
    incident = change.incident
    return {
        "n": incident.n,
        "rule_id": incident.rule_id,
        "rule_name": incident.terms.rule_name,
        "rule_kind": incident.terms.kind,
        "severity": incident.terms.severity,
        "state": "ended" if incident.ended_at is not None else "updated" if incident.n > 1 else "started",
        "zone": incident.zone,
        "action": incident.action,
        "people": incident.people,
        "tracks": list(incident.tracks),
        "confidence": incident.confidence,
        "model": incident.model,
        "started_at": rfc3339(incident.started_at),
        "updated_at": rfc3339(change.at),
        "ended_at": None if incident.ended_at is None else rfc3339(incident.ended_at),
        "start_s": incident.start_s,
        "end_s": incident.end_s,
        "muted": incident.muted,
    }


def to_summary_data(summary: Summary) -> dict[str, Any]:
    hour = summary.hour
    return {
        "summary": {
            "rule_id": summary.rule_id,
            "rule_name": hour.terms.rule_name,
            "severity": hour.terms.severity,
            "reason": "max_per_hour",
            "told": hour.told,
            "held_back": hour.held,
            "since": rfc3339(hour.began),
            "until": rfc3339(summary.at),
            "incidents": list(hour.named),
        },
        "links": {"incidents": f"/v1/incidents?rule={summary.rule_id}"},
    }


def to_stream_data(told: StreamTold, stream_name: str) -> dict[str, Any]:
    """Whoever reads a sink's messages is no admin: where the camera is stays here."""
    about = {"code": told.code, "reason": without_places(told.reason), "at": rfc3339(told.at)}
    stream = {"id": told.stream_id, "name": stream_name, "state": told.kind, **about}
    return {"stream": stream, "links": {"stream": f"/v1/streams/{told.stream_id}"}}
