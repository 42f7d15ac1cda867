"""The log behind ``since_seq`` and the events that its messages tell of. Functions of a Session, all synchronous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from service.rights import Visible
from service.storage.audit_sample import in_sample
from service.storage.records import EventRecord
from service.storage.tables import EventRow, MessageRow
from service.storage.visibility import seen
from service.wire_messages import message_time, parse_rfc3339

PRUNE_SLACK = 1000  # rows over the bound before a prune, so that it is not done at every message

Message = Mapping[str, Any]


def append(session: Session, messages: Sequence[Message], keep: int, audit_share: float = 0.0) -> None:
    """Stores messages (each with ``seq``, ascending), updates event rows and keeps about the newest ``keep``.

    ``audit_share``: of people whose events are drawn into their camera's audit sample.
    """
    # A commit whose answer was lost is tried again: what is stored already is left out.
    stored = session.scalar(select(func.max(MessageRow.seq))) or 0
    fresh = [m for m in messages if m["seq"] > stored]
    if not fresh:
        return
    rows = [_row(message) for message in fresh]
    session.execute(insert(MessageRow), rows)
    _follow_events(session, [m for m in fresh if m["type"] == "action"], audit_share)
    newest = rows[-1]["seq"]
    slack = min(PRUNE_SLACK, keep)
    if newest // slack != (rows[0]["seq"] - 1) // slack:  # each time the number crosses a multiple of the slack
        session.execute(delete(MessageRow).where(MessageRow.seq <= newest - keep))


def _row(message: Message) -> dict[str, Any]:
    told = {name: message[name] for name in ("seq", "type", "stream_id")}
    return {**told, "body": dict(message), "at": message_time(message)}


def _follow_events(session: Session, actions: Sequence[Message], audit_share: float) -> None:
    ids = {message["event_id"] for message in actions}
    known = {row.id: row for row in session.scalars(select(EventRow).where(EventRow.id.in_(ids)))} if ids else {}
    for message in actions:
        row = known.get(message["event_id"])
        if row is None:
            row = known[message["event_id"]] = _new_event(message)
            row.audit = in_sample(session, row.stream_id, row.track_id, audit_share)
            session.add(row)
        _update_event(row, message)


def _new_event(message: Message) -> EventRow:
    """Also from a later message, where the first could not be stored."""
    confidence = message["confidence"] or 0.0
    return EventRow(
        id=message["event_id"],
        stream_id=message["stream_id"],
        track_id=message["track_id"],
        action=message["action"],
        confidence=confidence,
        peak_confidence=confidence,
        start_s=message["start_s"],
        started_at=parse_rfc3339(message["captured_at"]),
    )


def _update_event(row: EventRow, message: Message) -> None:
    time = _time_of(row, message)
    row.kind, row.confidence, row.last_seq = message["kind"], message["confidence"] or 0.0, message["seq"]
    row.peak_confidence = max(row.peak_confidence, row.confidence)
    row.updated_at = time
    row.model = message.get("model") or row.model
    row.zones = list(dict.fromkeys([*(row.zones or ()), *message.get("zones", ())])) or None
    if message["kind"] == "ended":
        row.end_s = message["end_s"]
        row.ended_at = time


def _time_of(row: EventRow, message: Message) -> float:
    """→ Unix time of the message; where the clock was set back since the event began, by what media time says."""
    time = parse_rfc3339(message["captured_at"])
    if time >= row.started_at:
        return time
    end_s = row.start_s if message["end_s"] is None else message["end_s"]
    return row.started_at + max(0.0, end_s - row.start_s)


def to_event(row: EventRow) -> EventRecord:
    return EventRecord(**{name: getattr(row, name) for name in EventRecord.__slots__})


def last_seq(session: Session) -> int:
    """→ the highest number ever given, also if the log's rows are gone (events remember theirs); 0 at first."""
    newest = session.scalar(select(func.max(MessageRow.seq))) or 0
    return max(newest, session.scalar(select(func.max(EventRow.last_seq))) or 0)


def left_running(session: Session) -> tuple[str, ...]:
    """→ streams that ran, or showed people, as far as the log knows."""
    newest = select(func.max(MessageRow.seq)).where(MessageRow.type.in_(("stream", "presence")))
    bodies = session.scalars(select(MessageRow.body).where(MessageRow.seq.in_(newest.group_by(MessageRow.stream_id))))
    ran = (body["stream_id"] for body in bodies if body["type"] == "presence" or body["state"] == "running")
    return tuple(sorted(ran))


def oldest_seq(session: Session) -> int | None:
    return session.scalar(select(func.min(MessageRow.seq)))


def replay(
    session: Session, after_until: tuple[int, int], limit: int, visible: Visible, streams: Sequence[str]
) -> tuple[dict[str, Any], ...]:
    """→ message bodies with after < seq ≤ until, ascending."""
    after, until = after_until
    statement = select(MessageRow.body).where(MessageRow.seq > after, MessageRow.seq <= until)
    statement = statement.where(seen(visible, MessageRow.stream_id, MessageRow.at))
    if streams:
        statement = statement.where(MessageRow.stream_id.in_(streams))
    return tuple(session.scalars(statement.order_by(MessageRow.seq).limit(limit)))
