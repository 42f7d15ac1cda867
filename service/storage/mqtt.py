"""What MQTT sinks need of the database. Functions of a Session, all synchronous."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.orm import Session

from service.storage.alert_tables import OutboxRow, RuleRow, SinkRow
from service.storage.tables import PublishedRow, StreamRow, ZonesRow

PORTION = 500
FOREVER = 4_102_444_800.0  # 2100: a snooze that somebody has to end


@dataclass(frozen=True, slots=True)
class StreamNames:
    """A stream without its URL. ``actions`` None: all labels of the model."""

    id: str
    name: str
    model: str
    actions: tuple[str, ...] | None
    zones: tuple[str, ...]
    enabled: bool


def stream_names(session: Session) -> tuple[StreamNames, ...]:
    """→ all streams, the oldest first."""
    zones = {row.stream_id: row.zones for row in session.scalars(select(ZonesRow))}
    columns = (StreamRow.id, StreamRow.name, StreamRow.model, StreamRow.options, StreamRow.enabled)
    rows = session.execute(select(*columns).order_by(StreamRow.created_at, StreamRow.id))
    return tuple(
        StreamNames(row.id, row.name, row.model, _actions(row.options), _names(zones.get(row.id, [])), row.enabled)
        for row in rows
    )


def _actions(options: Mapping[str, Any]) -> tuple[str, ...] | None:
    actions = options.get("actions")
    return None if actions is None else tuple(actions)


def _names(zones: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(str(zone["name"]) for zone in zones)


# -- retained topics that were published


def published(session: Session, sink_id: str) -> dict[str, str | None]:
    """→ topic → the stream that it is of."""
    rows = session.execute(select(PublishedRow.topic, PublishedRow.stream_id).where(PublishedRow.sink_id == sink_id))
    return {row.topic: row.stream_id for row in rows}


def remember(session: Session, sink_id: str, rows: Mapping[str, str | None]) -> None:
    """Before they are published, so that a crash leaves no topic that nobody knows of."""
    known = published(session, sink_id)
    fresh = [
        {"sink_id": sink_id, "topic": topic, "stream_id": stream_id}
        for topic, stream_id in rows.items()
        if topic not in known
    ]
    if fresh:
        session.execute(insert(PublishedRow), fresh)


def forget(session: Session, sink_id: str, topics: Collection[str]) -> None:
    """After they were cleared."""
    _delete(session, PublishedRow.sink_id == sink_id, topics)


def forget_all(session: Session, sink_id: str) -> None:
    """After everything of a sink was cleared."""
    session.execute(delete(PublishedRow).where(PublishedRow.sink_id == sink_id))


def orphans(session: Session) -> frozenset[str]:
    """→ topics of sinks that are no more, which could not be cleared while they were."""
    return frozenset(session.scalars(select(PublishedRow.topic).where(PublishedRow.sink_id.not_in(select(SinkRow.id)))))


def forget_orphans(session: Session, topics: Collection[str]) -> None:
    _delete(session, PublishedRow.sink_id.not_in(select(SinkRow.id)), topics)


def _delete(session: Session, owner: ColumnElement[bool], topics: Collection[str]) -> None:
    """By portions: a statement has so many parameters at most."""
    left = list(topics)
    for start in range(0, len(left), PORTION):
        portion = left[start : start + PORTION]
        session.execute(delete(PublishedRow).where(owner, PublishedRow.topic.in_(portion)))


# -- the outbox


def told_before(session: Session, sink_id: str, incident_id: str, n: int) -> dict[str, Any] | None:
    """→ what the sink was told of an incident before message ``n``."""
    earlier = (OutboxRow.sink_id == sink_id, OutboxRow.incident_id == incident_id, OutboxRow.n < n)
    return session.scalar(select(OutboxRow.body).where(*earlier).order_by(OutboxRow.n.desc()).limit(1))


def hasten(session: Session, sink_id: str, now: float) -> None:
    """What waits for a broker is due when the broker is back."""
    waiting = (OutboxRow.sink_id == sink_id, OutboxRow.state == "pending", OutboxRow.next_at > now)
    session.execute(update(OutboxRow).where(*waiting).values(next_at=now))


# -- rules


def snoozes(session: Session, stream_id: str) -> tuple[float | None, ...]:
    """→ until when (Unix time) each enabled rule that watches a stream is silent."""
    return tuple(row.snoozed_until for row in _rules(session, stream_id) if row.enabled)


def snooze(session: Session, stream_id: str, until: float | None) -> None:
    """Silences the rules that watch a stream, also for the other streams that they watch; None: no more."""
    for row in _rules(session, stream_id):
        row.snoozed_until = until


def _rules(session: Session, stream_id: str) -> list[RuleRow]:
    """Of a rule without streams all are watched."""
    rows = session.scalars(select(RuleRow))
    return [row for row in rows if not (row.body.get("streams") or ()) or stream_id in row.body["streams"]]
