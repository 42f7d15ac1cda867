"""The outbox: messages that wait for their sinks. Functions of a Session, all synchronous; times are Unix seconds.

At least once, with an id that stays, in order within (sink, incident) and never across. A message is *leased* while it
is being sent: a lease that ran out (its process was killed) counts as pending again. Of several processes on one
PostgreSQL each takes rows that no other has locked; SQLite has one writer, so one process.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from service.storage.alert_tables import OutboxRow, SinkRow

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
# Before each attempt, as Standard Webhooks 1.0.0 proposes; after the last the message is dead.
DELAYS_S: tuple[float, ...] = (
    0.0,
    5.0,
    5 * MINUTE_S,
    30 * MINUTE_S,
    *(hours * HOUR_S for hours in (2, 5, 10, 14, 20, 24)),
)
JITTER = 0.2
MAX_WAIT_S = DAY_S  # a receiver's Retry-After counts up to here
DISABLE_AFTER_S = 3 * DAY_S  # of nothing but failures
MAX_BODY_BYTES = 19_000  # of a message's data; with its envelope less than 20 kB
MAX_PENDING = 10_000  # a sink; the oldest beyond are expired
KEEP_DELIVERED_S, KEEP_OTHERS_S = 7 * DAY_S, 30 * DAY_S
KEEP_FINISHED = 100_000  # rows, whatever their age
SUMMARY = "incident.summary"
MAX_ERROR = 300

FINISHED = ("delivered", "dead", "expired")


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What somebody is to be told. ``n`` counts within the incident; ``expires_at``: then it is no news any more."""

    sink_id: str
    type: str
    data: Mapping[str, Any]
    incident_id: str | None = None
    stream_id: str | None = None
    n: int = 0
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One row without its data. ``state``: pending, leased, delivered, dead, expired."""

    id: int
    sink_id: str
    incident_id: str | None
    stream_id: str | None
    n: int
    type: str
    state: str
    attempts: int
    next_at: float
    last_status: int | None
    last_error: str
    created_at: float
    delivered_at: float | None
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Leased:
    """A row in hands. ``lease_until`` is the proof: whoever finishes it must still hold that lease."""

    row: DeliveryRecord
    data: Mapping[str, Any]
    lease_until: float


# -- in


def enqueue(session: Session, message: NewMessage, now: float) -> int:
    """→ the id. In the caller's transaction. Raises ValueError where the data is too large or no JSON."""
    size = len(json.dumps(message.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
    if size > MAX_BODY_BYTES:
        raise ValueError(f"expected at most {MAX_BODY_BYTES} bytes of data in a message, got {size}")
    row = _new_row(message, now)
    session.add(row)
    session.flush()
    return row.id


def enqueue_leased(session: Session, message: NewMessage, now: float, lease_s: float) -> Leased:
    """A message that is sent at once, by whoever asked: no worker sees it."""
    row = _new_row(message, now)
    row.state, row.lease_until = "leased", now + lease_s
    session.add(row)
    session.flush()
    return _leased(row)


def _new_row(message: NewMessage, now: float) -> OutboxRow:
    return OutboxRow(
        sink_id=message.sink_id,
        incident_id=message.incident_id,
        stream_id=message.stream_id,
        n=message.n,
        type=message.type,
        body=dict(message.data),
        state="pending",
        attempts=0,
        next_at=now,
        last_error="",
        created_at=now,
        expires_at=message.expires_at,
    )


# -- out


def due_sinks(session: Session, now: float) -> list[str]:
    """→ enabled sinks that have something to send, the one that waits longest first. Reads only."""
    statement = (
        select(OutboxRow.sink_id)
        .where(_due(now), OutboxRow.sink_id.in_(select(SinkRow.id).where(SinkRow.enabled)))
        .group_by(OutboxRow.sink_id)
        .order_by(func.min(OutboxRow.next_at))
    )
    return list(session.scalars(statement))


def lease(session: Session, sink_id: str, now: float, lease_s: float, most: int) -> list[Leased]:
    """→ at most ``most`` messages, one of an incident, that are this caller's until ``lease_s`` from now."""
    statement = (
        select(OutboxRow)
        .where(OutboxRow.sink_id == sink_id, _due(now), _first_of_its_incident())
        .order_by(OutboxRow.next_at, OutboxRow.id)
        .limit(most)
        .with_for_update(skip_locked=True)  # SQLite, with its one writer, leaves it out
    )
    if session.scalar(select(SinkRow.enabled).where(SinkRow.id == sink_id)) is not True:
        return []
    rows = list(session.scalars(statement))
    for row in rows:
        row.state, row.lease_until = "leased", now + lease_s
    return [_leased(row) for row in rows]


def _due(now: float) -> ColumnElement[bool]:
    waiting = and_(OutboxRow.state == "pending", OutboxRow.next_at <= now)
    lost = and_(OutboxRow.state == "leased", OutboxRow.lease_until < now)
    return or_(waiting, lost)


def _first_of_its_incident() -> ColumnElement[bool]:
    earlier = aliased(OutboxRow)
    before = or_(earlier.n < OutboxRow.n, and_(earlier.n == OutboxRow.n, earlier.id < OutboxRow.id))
    same = and_(earlier.sink_id == OutboxRow.sink_id, earlier.incident_id == OutboxRow.incident_id)
    open_ = earlier.state.in_(("pending", "leased"))
    return or_(OutboxRow.incident_id.is_(None), ~exists(select(earlier.id).where(same, open_, before)))


# -- afterwards


def delivered(session: Session, leased: Leased, now: float, status: int | None, note: str = "") -> bool:
    """→ False where the lease was lost: somebody else has the message now, and sends it again."""
    row = _held(session, leased)
    if row is None:
        return False
    row.state, row.delivered_at, row.lease_until = "delivered", now, None
    _note(row, status, note)
    session.execute(update(SinkRow).where(SinkRow.id == row.sink_id).values(failing_since=None))
    return True


@dataclass(frozen=True, slots=True)
class Failure:
    """``after_s``: the receiver's wish; ``gone``: it wants nothing any more."""

    error: str
    status: int | None = None
    after_s: float | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """What became of it: whether the message is dead, and whether its sink was disabled now."""

    dead: bool
    disabled: str | None = None  # why


def failed(session: Session, leased: Leased, now: float, failure: Failure) -> Failed | None:
    """The next attempt is planned, or the message is dead. → None where the lease was lost."""
    row = _held(session, leased)
    if row is None:
        return None
    _note(row, failure.status, failure.error)
    wait_s = None if failure.gone else next_wait_s(row.attempts, failure.after_s)
    row.state, row.lease_until = ("dead" if wait_s is None else "pending"), None
    row.next_at = now if wait_s is None else now + wait_s
    reason = _note_failing_sink(session, row.sink_id, now, failure)
    return Failed(wait_s is None, reason)


def next_wait_s(attempts: int, after_s: float | None) -> float | None:
    """→ seconds until the next attempt after ``attempts``, 20 % more or less; None: there is none."""
    if attempts >= len(DELAYS_S):
        return None
    planned = DELAYS_S[attempts] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
    return max(planned, min(after_s or 0.0, MAX_WAIT_S))


def give_up(session: Session, leased: Leased, failure: Failure) -> None:
    """Of a message that is tried once only."""
    row = _held(session, leased)
    if row is not None:
        row.state, row.lease_until = "dead", None
        _note(row, failure.status, failure.error)


def release(session: Session, leased: Leased) -> None:
    """It was not sent, or nobody knows: the next worker takes it at once, as the same attempt."""
    row = _held(session, leased)
    if row is not None:
        row.state, row.lease_until = "pending", None


def release_all(session: Session) -> int:
    """What a killed process held; only where no other process can hold anything. → how many."""
    statement = update(OutboxRow).where(OutboxRow.state == "leased").values(state="pending", lease_until=None)
    return changed_rows(session, statement)


def _held(session: Session, leased: Leased) -> OutboxRow | None:
    row = session.get(OutboxRow, leased.row.id, with_for_update=True)
    return row if row is not None and row.state == "leased" and row.lease_until == leased.lease_until else None


def _note(row: OutboxRow, status: int | None, error: str) -> None:
    row.attempts += 1
    row.last_status, row.last_error = status, error[:MAX_ERROR]


def _note_failing_sink(session: Session, sink_id: str, now: float, failure: Failure) -> str | None:
    """→ why the sink is disabled from now on; None where it is not, or was before."""
    sink = session.get(SinkRow, sink_id, with_for_update=True)
    if sink is None or not sink.enabled:
        return None
    sink.failing_since = now if sink.failing_since is None else sink.failing_since
    if failure.gone:
        reason = failure.error
    elif now - sink.failing_since >= DISABLE_AFTER_S:
        reason = f"nothing arrived for {DISABLE_AFTER_S / DAY_S:g} days; last: {failure.error}"
    else:
        return None
    sink.enabled, sink.disabled_reason = False, reason[:MAX_ERROR]
    _tell_others(session, sink, now)
    return sink.disabled_reason


def _tell_others(session: Session, sink: SinkRow, now: float) -> None:
    about = {"sink": {"id": sink.id, "kind": sink.kind, "name": sink.name}, "reason": sink.disabled_reason}
    others = select(SinkRow.id).where(SinkRow.enabled, SinkRow.id != sink.id)
    for other in list(session.scalars(others)):
        enqueue(session, NewMessage(other, "sink.disabled", about), now)


def changed_rows(session: Session, statement: Any) -> int:
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined] # only CursorResult has it


def _leased(row: OutboxRow) -> Leased:
    return Leased(to_record(row), row.body, row.lease_until or 0.0)


def to_record(row: OutboxRow) -> DeliveryRecord:
    return DeliveryRecord(**{name: getattr(row, name) for name in DeliveryRecord.__slots__})
