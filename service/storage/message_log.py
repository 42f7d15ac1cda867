"""The log behind ``since_seq`` and the events that its messages tell of. Functions of a Session, all synchronous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from service.storage.tables import EventRow, MessageRow
from service.wire_messages import parse_rfc3339

PRUNE_SLACK = 1000  # rows over the bound before a prune, so that it is not done at every message

Message = Mapping[str, Any]


def append(session: Session, messages: Sequence[Message], keep: int) -> None:
    """Stores messages (each with ``seq``, ascending), updates event rows and keeps about the newest ``keep``."""
    # A commit whose answer was lost is tried again: what is stored already is left out.
    stored = session.scalar(select(func.max(MessageRow.seq))) or 0
    fresh = [m for m in messages if m["seq"] > stored]
    if not fresh:
        return
    rows = [{"seq": m["seq"], "type": m["type"], "stream_id": m["stream_id"], "body": dict(m)} for m in fresh]
    session.execute(insert(MessageRow), rows)
    _follow_events(session, [m for m in fresh if m["type"] == "action"])
    newest = rows[-1]["seq"]
    slack = min(PRUNE_SLACK, keep)
    if newest // slack != (rows[0]["seq"] - 1) // slack:  # each time the number crosses a multiple of the slack
        session.execute(delete(MessageRow).where(MessageRow.seq <= newest - keep))


def _follow_events(session: Session, actions: Sequence[Message]) -> None:
    ids = {message["event_id"] for message in actions}
    known = {row.id: row for row in session.scalars(select(EventRow).where(EventRow.id.in_(ids)))} if ids else {}
    for message in actions:
        row = known.get(message["event_id"])
        if row is None:
            row = known[message["event_id"]] = _new_event(message)
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


def last_seq(session: Session) -> int:
    """→ the highest number ever given, also if the log's rows are gone (events remember theirs); 0 at first."""
    newest = session.scalar(select(func.max(MessageRow.seq))) or 0
    return max(newest, session.scalar(select(func.max(EventRow.last_seq))) or 0)


def oldest_seq(session: Session) -> int | None:
    return session.scalar(select(func.min(MessageRow.seq)))


def replay(
    session: Session, after_until: tuple[int, int], limit: int, streams: Sequence[str]
) -> tuple[dict[str, Any], ...]:
    """→ message bodies with after < seq ≤ until, ascending."""
    after, until = after_until
    statement = select(MessageRow.body).where(MessageRow.seq > after, MessageRow.seq <= until)
    if streams:
        statement = statement.where(MessageRow.stream_id.in_(streams))
    return tuple(session.scalars(statement.order_by(MessageRow.seq).limit(limit)))
