"""How much is stored: recordings by stream, incidents, the database itself. May raise StoreError."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import case, func, select, text
from sqlalchemy.orm import Session

from service.rights import Visible
from service.storage.alert_tables import IncidentRow
from service.storage.database import Database
from service.storage.tables import RecordingRow
from service.storage.visibility import seen

HELD_S = 5.0  # so long a count serves whoever asks
MOST_HELD = 64  # counts, one for each set of streams that somebody may see


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is recorded of one stream; times are Unix seconds."""

    stream_id: str
    files: int
    bytes: int
    oldest: float
    newest: float


@dataclass(frozen=True, slots=True)
class IncidentTotals:
    """``kept``: those that retention never removes."""

    incidents: int
    kept: int


@dataclass(frozen=True, slots=True)
class DatabaseSize:
    kind: Literal["sqlite", "postgresql"]
    bytes: int


@dataclass(frozen=True, slots=True)
class Stored:
    """All of it, as far as it may be seen."""

    recorded: tuple[Recorded, ...]
    incidents: IncidentTotals
    database: DatabaseSize


class Totals:
    """Sums over what may be seen."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recorded(self, visible: Visible) -> tuple[Recorded, ...]:
        """→ by stream, also of streams that are deleted."""
        row = RecordingRow
        sums = func.count(), func.sum(row.bytes), func.min(row.started_at), func.max(row.ended_at)
        statement = select(row.stream_id, *sums).where(seen(visible, row.stream_id, row.started_at))
        statement = statement.group_by(row.stream_id).order_by(row.stream_id)

        def work(session: Session) -> tuple[Recorded, ...]:
            found = session.execute(statement).all()
            return tuple(Recorded(each[0], each[1], int(each[2]), each[3], each[4]) for each in found)

        return await self._database.read(work)

    async def incidents(self, visible: Visible) -> IncidentTotals:
        row = IncidentRow
        kept = func.sum(case((row.kept, 1), else_=0))
        statement = select(func.count(), kept).where(seen(visible, row.stream_id, row.started_at))

        def work(session: Session) -> IncidentTotals:
            count, kept_count = session.execute(statement).one()
            return IncidentTotals(count, int(kept_count or 0))

        return await self._database.read(work)

    async def database(self) -> DatabaseSize:
        return await self._database.read(_size)

    async def all(self, visible: Visible) -> Stored:
        return Stored(await self.recorded(visible), await self.incidents(visible), await self.database())


@dataclass(frozen=True, slots=True)
class _Count:
    began_s: float
    task: asyncio.Task[Stored]

    def holds(self, now_s: float) -> bool:
        """One under way does; one that failed does not."""
        if not self.task.done():
            return True
        return now_s - self.began_s < HELD_S and not self.task.cancelled() and self.task.exception() is None


class SharedTotals:
    """Counted once for all who may see the same, at most every HELD_S: each open page asks every two seconds.

    ``clock``: monotonic seconds. On one event loop.
    """

    def __init__(self, totals: Totals, clock: Callable[[], float] = time.monotonic) -> None:
        self._totals = totals
        self._clock = clock
        self._counts: dict[frozenset[tuple[str, float | None]] | None, _Count] = {}

    async def of(self, visible: Visible) -> Stored:
        key = None if visible.streams is None else frozenset(visible.streams.items())
        now_s = self._clock()
        count = self._counts.pop(key, None)
        if count is None or not count.holds(now_s):
            count = _Count(now_s, asyncio.create_task(self._totals.all(visible), name="totals"))
        self._counts[key] = count
        while len(self._counts) > MOST_HELD:
            del self._counts[next(iter(self._counts))]  # the one that was asked for longest ago
        return await asyncio.shield(count.task)  # whoever leaves does not end it for the others


def _size(session: Session) -> DatabaseSize:
    if session.get_bind().dialect.name == "sqlite":
        pages, page_size = (session.scalar(text(f"PRAGMA {what}")) for what in ("page_count", "page_size"))
        return DatabaseSize("sqlite", (pages or 0) * (page_size or 0))
    return DatabaseSize("postgresql", session.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
