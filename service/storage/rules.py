"""Rules as they are stored: the JSON that was given, and until when somebody silenced it. May raise StoreError."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from service.rights import Visible
from service.storage.alert_tables import RuleRow
from service.storage.database import Database
from service.storage.records import Cursor, Page


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """One rule. ``body`` has all but name and whether it is enabled; times are Unix seconds."""

    id: str
    name: str
    body: Mapping[str, Any]
    enabled: bool = True
    snoozed_until: float | None = None
    created_at: float = 0.0

    def seen_by(self, visible: Visible) -> bool:
        """A rule is seen by whoever sees one of its streams; one for all streams by everybody."""
        streams = self.body["streams"]
        return not streams or any(visible.sees(stream_id) for stream_id in streams)


class RuleStore:
    """Async face of the table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: RuleRecord, most: int) -> bool:
        """→ False where there are ``most`` rules already."""
        values = {"id": record.id, "created_at": record.created_at, **_values(record)}

        def work(session: Session) -> bool:
            if (session.scalar(select(func.count()).select_from(RuleRow)) or 0) >= most:
                return False
            session.execute(insert(RuleRow).values(**values))
            return True

        return await self._database.write(work)

    async def change(self, record: RuleRecord) -> bool:
        """Replaces the rule of this id, but for its snooze. → False if there is none (any more)."""
        values = {name: value for name, value in _values(record).items() if name != "snoozed_until"}
        return await self._changed(update(RuleRow).where(RuleRow.id == record.id).values(**values))

    async def snooze(self, rule_id: str, until: float | None) -> bool:
        """→ False if there is no such rule."""
        return await self._changed(update(RuleRow).where(RuleRow.id == rule_id).values(snoozed_until=until))

    async def delete(self, rule_id: str) -> bool:
        """Its incidents stay. → False if there is none."""
        return await self._changed(delete(RuleRow).where(RuleRow.id == rule_id))

    async def get(self, rule_id: str, visible: Visible) -> RuleRecord | None:
        """→ None also for a rule that ``visible`` does not see."""

        def work(session: Session) -> RuleRecord | None:
            row = session.get(RuleRow, rule_id)
            record = None if row is None else _to_record(row)
            return record if record is not None and record.seen_by(visible) else None

        return await self._database.read(work)

    async def all(self) -> tuple[RuleRecord, ...]:
        """Oldest first."""
        return await self._database.read(lambda session: tuple(all_rules(session)))

    async def list(self, visible: Visible, cursor: Cursor | None, limit: int) -> Page[RuleRecord]:
        """Oldest first. Rules are few (``most`` of ``add``): what is seen is chosen after the rows are read."""
        statement = select(RuleRow).order_by(RuleRow.created_at, RuleRow.id)
        if cursor is not None:
            same = (RuleRow.created_at == cursor.time) & (RuleRow.id > cursor.id)
            statement = statement.where(or_(RuleRow.created_at > cursor.time, same))
        records = await self._database.read(lambda s: [_to_record(row) for row in s.scalars(statement)])
        seen = [record for record in records if record.seen_by(visible)]
        more = len(seen) > limit
        last = seen[limit - 1] if more else None
        return Page(tuple(seen[:limit]), None if last is None else Cursor(last.created_at, last.id).encode())

    async def _changed(self, statement: Any) -> bool:
        return await self._database.write(
            lambda session: bool(session.execute(statement).rowcount)  # type: ignore[attr-defined] # CursorResult's
        )


def all_rules(session: Session) -> list[RuleRecord]:
    """Oldest first."""
    return [_to_record(row) for row in session.scalars(select(RuleRow).order_by(RuleRow.created_at, RuleRow.id))]


def _values(record: RuleRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "enabled": record.enabled,
        "body": dict(record.body),
        "snoozed_until": record.snoozed_until,
    }


def _to_record(row: RuleRow) -> RuleRecord:
    return RuleRecord(**{name: getattr(row, name) for name in RuleRecord.__slots__})
