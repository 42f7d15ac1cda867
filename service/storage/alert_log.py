"""What the alert engine reads and writes: the message log from its cursor, and in one transaction cursor, state,
incidents and outbox. Functions of a Session, all synchronous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.errors_base import ServiceError
from service.storage import message_log
from service.storage.alert_tables import AlertCursorRow, IncidentRow, SinkRow
from service.storage.outbox import NewMessage, enqueue
from service.storage.tables import MessageRow, StreamRow

_THE_ONE = 1


class CursorMoved(ServiceError, RuntimeError):
    """The cursor is not where its reader left it: a write whose answer was lost, or a second engine."""


@dataclass(frozen=True, slots=True)
class AlertCursor:
    """How far the log is read. ``revision`` counts the writes."""

    seq: int
    revision: int
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction. ``incidents``: values of their rows, complete or, of one that is known, what changed."""

    before: int  # the revision that it follows
    seq: int
    state: Mapping[str, Any]
    incidents: Sequence[Mapping[str, Any]] = ()
    messages: Sequence[NewMessage] = ()


def load(session: Session) -> AlertCursor:
    """The first time it stands at the end of the log: nobody is told of what was before there were rules."""
    row = session.get(AlertCursorRow, _THE_ONE)
    if row is None:
        row = AlertCursorRow(id=_THE_ONE, seq=message_log.last_seq(session), revision=0, state={})
        session.add(row)
        session.flush()
    return AlertCursor(row.seq, row.revision, row.state)


def read(session: Session, after: int, limit: int) -> tuple[dict[str, Any], ...]:
    """→ messages after a number, ascending."""
    statement = select(MessageRow.body).where(MessageRow.seq > after).order_by(MessageRow.seq).limit(limit)
    return tuple(session.scalars(statement))


def read_incidents(session: Session, after: int) -> tuple[dict[str, Any], ...]:
    """→ those messages that the engine itself made."""
    statement = select(MessageRow.body).where(MessageRow.seq > after, MessageRow.type == "incident")
    return tuple(session.scalars(statement.order_by(MessageRow.seq)))


def commit(session: Session, work: Commit, now: float) -> None:
    """All or nothing. Raises CursorMoved."""
    statement = update(AlertCursorRow).where(AlertCursorRow.id == _THE_ONE, AlertCursorRow.revision == work.before)
    values = {"seq": work.seq, "revision": work.before + 1, "state": dict(work.state)}
    if session.execute(statement.values(**values)).rowcount != 1:  # type: ignore[attr-defined] # CursorResult's
        raise CursorMoved("the cursor of the alerts is not where it was left")
    for incident in work.incidents:
        _store(session, incident)
    for message in work.messages:
        enqueue(session, message, now)


def _store(session: Session, values: Mapping[str, Any]) -> None:
    row = session.get(IncidentRow, values["id"])
    if row is None:
        session.add(IncidentRow(**values))
        session.flush()
        return
    for name, value in values.items():
        setattr(row, name, value)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who there is: names of streams, sinks that take messages, those of them that want to hear of streams."""

    streams: Mapping[str, str]
    sinks: frozenset[str]
    stream_sinks: frozenset[str]


def addresses(session: Session) -> Addresses:
    streams = {row.id: row.name for row in session.execute(select(StreamRow.id, StreamRow.name))}
    enabled = select(SinkRow.id, SinkRow.config).where(SinkRow.enabled)
    sinks = {row.id: row.config for row in session.execute(enabled)}
    wanting = frozenset(sink_id for sink_id, config in sinks.items() if config.get("stream_events"))
    return Addresses(streams, frozenset(sinks), wanting)
