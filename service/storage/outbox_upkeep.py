"""What keeps the outbox bounded and fresh. Functions of a Session, all synchronous; times are Unix seconds.

Alarms that come hours late are worse than none: what is past its time, and with it the rest of an incident that was
never told of, becomes one summary a sink. The oldest of more than MAX_PENDING messages go the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from service.storage.alert_tables import OutboxRow, SinkRow
from service.storage.outbox import (
    FINISHED,
    KEEP_DELIVERED_S,
    KEEP_FINISHED,
    KEEP_OTHERS_S,
    MAX_PENDING,
    SUMMARY,
    NewMessage,
    changed_rows,
    due_sinks,
    enqueue,
)
from service.wire_messages import rfc3339

MOST_A_SWEEP = 500
MAX_NAMED = 20  # incidents that a summary names
EXPIRED = "expired"  # the reason that a summary names
REMOVED = "the sink was removed"
LATE = "it could not be delivered in time; a summary tells of it"
TOO_MANY = f"more than {MAX_PENDING} messages waited; a summary tells of it"


@dataclass(frozen=True, slots=True)
class Look:
    """How the outbox stands: sinks with something to send, whether ``expire`` has work, what waits.

    ``oldest_at``: when the oldest message was made that an enabled sink still waits for; None without any.
    ``given_up``: sinks that were disabled because nothing arrived there.
    """

    due: Sequence[str]
    stale: bool
    pending: int
    oldest_at: float | None
    given_up: int = 0


def look(session: Session, now: float) -> Look:
    """Reads only, so that an idle outbox writes nothing."""
    waiting = OutboxRow.state.in_(("pending", "leased"))
    pending = session.scalar(select(func.count()).select_from(OutboxRow).where(waiting)) or 0
    given_up = SinkRow.enabled.is_(False) & (SinkRow.disabled_reason != "")
    disabled = session.scalar(select(func.count()).select_from(SinkRow).where(given_up)) or 0
    if not pending:
        return Look((), stale=False, pending=0, oldest_at=None, given_up=disabled)
    enabled = OutboxRow.sink_id.in_(select(SinkRow.id).where(SinkRow.enabled))
    oldest = session.scalar(select(func.min(OutboxRow.created_at)).where(waiting, enabled))
    stale = any(session.scalars(statement.limit(1)).first() for statement, _ in _stale(session, now))
    return Look(due_sinks(session, now), stale, pending, oldest, disabled)


def expire(session: Session, now: float) -> int:
    """Expires what is stale, at most MOST_A_SWEEP messages of each cause, and tells of them. → how many."""
    count = 0
    for statement, reason in _stale(session, now):
        rows: list[OutboxRow] = list(session.scalars(statement.limit(MOST_A_SWEEP).with_for_update(skip_locked=True)))
        for row in rows:
            row.state, row.last_error = "expired", reason
        if reason != REMOVED:
            _summarise(session, [row for row in rows if row.type != SUMMARY], now)
        count += len(rows)
    return count


def _stale(session: Session, now: float) -> list[tuple[Select[Any], str]]:
    """What somebody retried by hand, which has been late before, is not late again for its incident's sake."""
    pending = select(OutboxRow).where(OutboxRow.state == "pending").order_by(OutboxRow.id)
    untold = aliased(OutboxRow)
    never_told = exists(
        select(untold.id).where(
            and_(untold.sink_id == OutboxRow.sink_id, untold.incident_id == OutboxRow.incident_id),
            and_(untold.state == "expired", untold.type == "incident.started"),
        )
    )
    causes = [
        (pending.where(~exists(select(SinkRow.id).where(SinkRow.id == OutboxRow.sink_id))), REMOVED),
        (pending.where(or_(OutboxRow.expires_at < now, and_(never_told, OutboxRow.last_error != LATE))), LATE),
    ]
    return causes + [(pending.where(OutboxRow.id.in_(ids)), TOO_MANY) for ids in _overflow(session)]


def _overflow(session: Session) -> list[Select[Any]]:
    """→ for each sink with more than MAX_PENDING messages, which ones are too many: all but the newest."""
    crowded = select(OutboxRow.sink_id).where(OutboxRow.state == "pending").group_by(OutboxRow.sink_id)
    found = []
    for sink_id in session.scalars(crowded.having(func.count() > MAX_PENDING)).all():
        mine = select(OutboxRow.id).where(OutboxRow.sink_id == sink_id, OutboxRow.state == "pending")
        newest = session.scalar(mine.order_by(OutboxRow.id.desc()).offset(MAX_PENDING).limit(1))
        found.append(mine.where(OutboxRow.id <= newest, OutboxRow.type != SUMMARY))
    return found


def _summarise(session: Session, rows: Sequence[OutboxRow], now: float) -> None:
    for sink_id in {row.sink_id for row in rows}:
        mine = [row for row in rows if row.sink_id == sink_id]
        waiting = select(OutboxRow).where(OutboxRow.sink_id == sink_id, OutboxRow.type == SUMMARY)
        own = waiting.where(OutboxRow.state == "pending", OutboxRow.incident_id.is_(None))
        summary = next((s for s in session.scalars(own.with_for_update(skip_locked=True)) if _of_expired(s)), None)
        if summary is None:
            enqueue(session, NewMessage(sink_id, SUMMARY, _summary({}, mine)), now)
        else:
            summary.body = _summary(summary.body["summary"], mine)


def _of_expired(row: OutboxRow) -> bool:
    return bool(row.body["summary"]["reason"] == EXPIRED)


def _summary(before: Mapping[str, Any], rows: Sequence[OutboxRow]) -> dict[str, Any]:
    """What a summary tells, with what it told before added."""
    begun = [row.incident_id for row in rows if row.type == "incident.started" and row.incident_id]
    first, last = min(row.created_at for row in rows), max(row.created_at for row in rows)
    told = {
        "reason": EXPIRED,
        "messages": before.get("messages", 0) + len(rows),
        "held_back": before.get("held_back", 0) + len(begun),  # incidents
        "incidents": [*before.get("incidents", []), *begun][:MAX_NAMED],
        "since": min(before.get("since", "~"), rfc3339(first)),
        "until": max(before.get("until", ""), rfc3339(last)),
    }
    return {"summary": told}


def prune(session: Session, now: float) -> int:
    """Deletes what is finished and old, or too much. → how many rows.

    The newest row stays, whatever it is: SQLite would give its id again, and receivers know it.
    """
    newest = session.scalar(select(func.max(OutboxRow.id))) or 0
    finished = and_(OutboxRow.state.in_(FINISHED), OutboxRow.id < newest)
    delivered = OutboxRow.state == "delivered"
    old = or_(
        and_(delivered, OutboxRow.delivered_at < now - KEEP_DELIVERED_S),
        and_(~delivered, OutboxRow.created_at < now - KEEP_OTHERS_S),
    )
    by_id = select(OutboxRow.id).where(OutboxRow.state.in_(FINISHED)).order_by(OutboxRow.id.desc())
    beyond = session.scalar(by_id.offset(KEEP_FINISHED).limit(1)) or 0
    return changed_rows(session, delete(OutboxRow).where(finished, or_(old, OutboxRow.id <= beyond)))
