"""Rows of trainings, read and written. Methods may raise StoreError."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.orm import Session

from service.storage.database import Database
from service.storage.records import Cursor, Page
from service.storage.trainings.tables import TrainingRow

WAITING = "queued"
UNDER_WAY = ("running", "paused", "gate")
OVER = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """One training. ``base``: the alias that it is for; ``attempts``: how often its process was started."""

    id: str
    base: str
    config: str
    by: str
    created_at: float
    force_count: bool = False
    state: str = WAITING
    step: str = ""
    progress: float = 0.0
    reason: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    attempts: int = 0
    version: str | None = None
    gate: Mapping[str, Any] | None = None

    @property
    def is_over(self) -> bool:
        return self.state in OVER


class TrainingStore:
    """Async face of the table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: TrainingRecord, most: int) -> bool:
        """→ False where ``most`` wait or run already."""

        def work(session: Session) -> bool:
            open_ones = select(func.count()).select_from(TrainingRow).where(TrainingRow.state.not_in(OVER))
            if (session.scalar(open_ones) or 0) >= most:
                return False
            session.execute(insert(TrainingRow).values(**_values(record)))
            return True

        return await self._database.write(work)

    async def keep(self, record: TrainingRecord) -> None:
        """Replaces the row of this id."""
        statement = update(TrainingRow).where(TrainingRow.id == record.id).values(**_values(record))
        await self._database.write(lambda session: session.execute(statement))

    async def get(self, training_id: str) -> TrainingRecord | None:
        def work(session: Session) -> TrainingRecord | None:
            row = session.get(TrainingRow, training_id)
            return None if row is None else _to_record(row)

        return await self._database.read(work)

    async def open_ones(self) -> tuple[TrainingRecord, ...]:
        """Those that wait or run, the oldest first."""
        statement = select(TrainingRow).where(TrainingRow.state.not_in(OVER))
        statement = statement.order_by(TrainingRow.created_at, TrainingRow.id)
        return await self._database.read(lambda s: tuple(_to_record(row) for row in s.scalars(statement)))

    async def list(self, cursor: Cursor | None, limit: int) -> Page[TrainingRecord]:
        """Newest first."""
        statement = select(TrainingRow).order_by(TrainingRow.created_at.desc(), TrainingRow.id.desc())
        if cursor is not None:
            same = (TrainingRow.created_at == cursor.time) & (TrainingRow.id < cursor.id)
            statement = statement.where(or_(TrainingRow.created_at < cursor.time, same))
        rows = await self._database.read(lambda s: [_to_record(row) for row in s.scalars(statement.limit(limit + 1))])
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(tuple(rows[:limit]), None if last is None else Cursor(last.created_at, last.id).encode())


def _values(record: TrainingRecord) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in TrainingRecord.__slots__}
    return {**values, "gate": None if record.gate is None else dict(record.gate)}


def _to_record(row: TrainingRow) -> TrainingRecord:
    return TrainingRecord(**{name: getattr(row, name) for name in TrainingRecord.__slots__})
