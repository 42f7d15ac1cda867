"""What the engine decided → rows of incidents, messages of the outbox, messages of the websocket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from service.alerts.changes import (
    Change,
    Changed,
    StreamTold,
    Summary,
    to_incident_data,
    to_incident_message,
    to_stream_data,
    to_summary_data,
)
from service.alerts.state import Incident, Terms
from service.storage.alert_log import Addresses
from service.storage.incidents import IncidentRecord
from service.storage.outbox import NewMessage

Links = Mapping[str, str | None]
LinkMaker = Callable[[Change], Links]

_HERE = {"id", "rule_id", "stream_id", "zone", "action", "confidence", "model", "people", "muted", "n"}


def plain_links(change: Change) -> Links:
    """Paths for whoever is logged in."""
    path = f"/v1/incidents/{change.incident.id}"
    clip = f"{path}/clip.mp4" if change.kind == "clip_ready" else None
    return {"incident": path, "snapshot": f"{path}/snapshot.jpg", "clip": clip}


def to_row(change: Change) -> dict[str, Any]:
    """→ values of the incident's row. Whether a clip is waited for is decided at the start."""
    incident = change.incident
    values: dict[str, Any] = {name: getattr(incident, name) for name in _HERE}
    values |= {
        "rule_name": incident.terms.rule_name,
        "severity": incident.terms.severity,
        "state": change.kind,
        "tracks": list(incident.tracks),
        "events": list(incident.events),
        "started_at": incident.started_at,
        "updated_at": change.at,
        "ended_at": incident.ended_at,
        "start_s": incident.start_s,
        "end_s": incident.end_s,
        "terms": msgspec.to_builtins(incident.terms),
    }
    if change.kind == "started":
        values["clip_state"] = "none" if incident.terms.clip is None else "waiting"
    return values


def to_incident(record: IncidentRecord) -> Incident:
    """A stored incident → as the engine knew it."""
    return Incident(
        **{name: getattr(record, name) for name in _HERE},
        terms=msgspec.convert(record.terms, Terms),
        started_at=record.started_at,
        start_s=record.start_s,
        told_at=record.updated_at,
        tracks=tuple(record.tracks),
        events=tuple(record.events),
        ended_at=record.ended_at,
        end_s=record.end_s,
    )


def incident_rows(changes: Iterable[Changed]) -> list[dict[str, Any]]:
    """In order; of an incident with several changes the last one counts, and the first says what it began as."""
    rows: dict[str, dict[str, Any]] = {}
    for change in changes:
        if isinstance(change, Change):
            rows.setdefault(change.incident.id, {}).update(to_row(change))
    return list(rows.values())


def incident_messages(changes: Iterable[Changed], links: LinkMaker) -> list[dict[str, Any]]:
    return [to_incident_message(change, links(change)) for change in changes if isinstance(change, Change)]


def outbox_messages(changes: Iterable[Changed], there: Addresses, links: LinkMaker) -> list[NewMessage]:
    """One for each sink that a rule names and that takes messages."""
    messages: list[NewMessage] = []
    for change in changes:
        if isinstance(change, Change):
            messages += _of_incident(change, there, links)
        elif isinstance(change, Summary):
            messages += _of_summary(change, there)
        else:
            messages += _of_stream(change, there)
    return messages


def absolute(message: NewMessage, base: str) -> NewMessage:
    """→ the message with links that begin with ``base``."""
    links: Links = message.data.get("links", {})
    full = {name: None if path is None else base + path for name, path in links.items()}
    return replace(message, data={**message.data, "links": full})


def _of_incident(change: Change, there: Addresses, links: LinkMaker) -> list[NewMessage]:
    incident = change.incident
    if incident.muted:
        return []
    data = to_incident_data(change, there.streams.get(incident.stream_id, incident.stream_id), links(change))
    return [
        NewMessage(
            sink_id=sink_id,
            type=f"incident.{change.kind}",
            data=data,
            incident_id=incident.id,
            stream_id=incident.stream_id,
            n=incident.n,
            expires_at=change.at + incident.terms.max_age_s,
        )
        for sink_id in incident.terms.sinks
        if sink_id in there.sinks
    ]


def _of_summary(summary: Summary, there: Addresses) -> list[NewMessage]:
    data = to_summary_data(summary)
    sinks = [sink_id for sink_id in summary.hour.terms.sinks if sink_id in there.sinks]
    return [NewMessage(sink_id=sink_id, type="incident.summary", data=data) for sink_id in sinks]


def _of_stream(told: StreamTold, there: Addresses) -> list[NewMessage]:
    data = to_stream_data(told, there.streams.get(told.stream_id, told.stream_id))
    return [
        NewMessage(sink_id=sink_id, type=f"stream.{told.kind}", data=data, stream_id=told.stream_id, n=told.n)
        for sink_id in sorted(there.stream_sinks)
    ]
