"""The outbox as the operator sees it: what was sent, what waits, what is dead. May raise StoreError."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.errors_base import Conflict
from service.storage.alert_tables import OutboxRow
from service.storage.database import Database
from service.storage.outbox import DeliveryRecord, to_record
from service.storage.records import Cursor, Page

AGAIN = frozenset({"pending", "dead", "expired"})  # what can be tried again


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Empty means everything."""

    states: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()


async def list_deliveries(
    database: Database, wanted: DeliveryFilter, cursor: Cursor | None, limit: int
) -> Page[DeliveryRecord]:
    """Newest first. Raises ValueError for a cursor of another list."""
    statement = select(OutboxRow).order_by(OutboxRow.id.desc()).limit(limit + 1)
    if cursor is not None:
        statement = statement.where(OutboxRow.id < _number(cursor))
    for column, values in (
        (OutboxRow.state, wanted.states),
        (OutboxRow.sink_id, wanted.sinks),
        (OutboxRow.incident_id, wanted.incidents),
    ):
        statement = statement.where(column.in_(values)) if values else statement
    rows = await database.read(lambda session: [to_record(row) for row in session.scalars(statement)])
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return Page(tuple(rows[:limit]), None if last is None else Cursor(last.created_at, str(last.id)).encode())


def _number(cursor: Cursor) -> int:
    if not (cursor.id.isascii() and cursor.id.isdecimal() and len(cursor.id) < 19):
        raise ValueError("expected a next_cursor of an earlier answer")
    return int(cursor.id)


async def retry(database: Database, delivery_id: int, now: float) -> DeliveryRecord | None:
    """Sends it as soon as its turn comes, with all attempts before it again. → None if there is none.

    Raises Conflict for what is being sent or has arrived.
    """

    def work(session: Session) -> DeliveryRecord | None:
        row = session.get(OutboxRow, delivery_id, with_for_update=True)
        if row is None:
            return None
        if row.state not in AGAIN:
            raise Conflict(f"expected a message that is {', '.join(sorted(AGAIN))}; this one is {row.state}")
        row.state, row.attempts, row.next_at, row.expires_at = "pending", 0, now, None
        session.flush()
        return to_record(row)

    return await database.write(work)
