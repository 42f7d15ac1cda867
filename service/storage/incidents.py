"""Incidents as they are stored, what may be seen of them, and the files that belong to them. May raise StoreError."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from service.rights import Visible
from service.storage.alert_tables import IncidentRow
from service.storage.database import Database
from service.storage.objects import doom, only_in_bucket
from service.storage.records import Cursor, Page
from service.storage.segment import Needed
from service.storage.visibility import seen


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """One incident. Times of day are Unix seconds, ``…_s`` media time; paths are relative to the incidents' folder.

    ``terms``: what its rule said when it began. ``n``: number of its newest message.
    """

    id: str
    rule_id: str
    rule_name: str
    stream_id: str
    zone: str | None
    action: str | None
    severity: str
    state: str
    tracks: Sequence[int]
    events: Sequence[str]
    confidence: float | None
    model: str | None
    started_at: float
    updated_at: float
    ended_at: float | None
    start_s: float
    end_s: float | None
    people: int = 0
    muted: bool = False
    n: int = 0
    terms: Mapping[str, Any] = field(default_factory=dict)
    snapshot_path: str | None = None
    clip_path: str | None = None
    clip_state: str = "none"
    clip_reason: str = ""
    kept: bool = False


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Empty means everything. ``since`` and ``until`` (Unix) bound the start: since ≤ started_at < until."""

    streams: Sequence[str] = ()
    rules: Sequence[str] = ()
    zones: Sequence[str] = ()
    severities: Sequence[str] = ()
    states: Sequence[str] = ()
    since: float | None = None
    until: float | None = None


class IncidentStore:
    """Async face of the table; its rows are made by ``alert_log.commit``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, incident_id: str, visible: Visible) -> IncidentRecord | None:
        """→ None also for one that ``visible`` does not see."""

        statement = select(IncidentRow).where(IncidentRow.id == incident_id, _seen(visible))

        def work(session: Session) -> IncidentRecord | None:
            row = session.scalar(statement)
            return None if row is None else to_record(row)

        return await self._database.read(work)

    async def list(
        self, wanted: IncidentFilter, visible: Visible, cursor: Cursor | None, limit: int
    ) -> Page[IncidentRecord]:
        """Newest start first."""
        statement = select(IncidentRow).where(*_conditions(wanted), _seen(visible))
        if cursor is not None:
            same = (IncidentRow.started_at == cursor.time) & (IncidentRow.id < cursor.id)
            statement = statement.where(or_(IncidentRow.started_at < cursor.time, same))
        statement = statement.order_by(IncidentRow.started_at.desc(), IncidentRow.id.desc()).limit(limit + 1)
        rows = await self._database.read(lambda s: [to_record(row) for row in s.scalars(statement)])
        more = len(rows) > limit
        return Page(
            tuple(rows[:limit]), Cursor(rows[limit - 1].started_at, rows[limit - 1].id).encode() if more else None
        )

    async def keep(self, incident_id: str, kept: bool, most: int) -> bool:
        """Retention removes no kept one. → False where ``most`` are kept already."""

        def work(session: Session) -> bool:
            if kept and _count_kept(session, incident_id) >= most:
                return False
            session.execute(update(IncidentRow).where(IncidentRow.id == incident_id).values(kept=kept))
            return True

        return await self._database.write(work)

    async def set_snapshot(self, incident_id: str, path: str) -> None:
        statement = update(IncidentRow).where(IncidentRow.id == incident_id).values(snapshot_path=path)
        await self._database.write(lambda session: session.execute(statement))

    async def without_clip(self, limit: int, after: IncidentRecord | None = None) -> tuple[IncidentRecord, ...]:
        """Ended ones that wait for their clip, the oldest first, of those that ended ``after`` one."""
        order = IncidentRow.ended_at, IncidentRow.id
        statement = select(IncidentRow).where(IncidentRow.clip_state == "waiting", IncidentRow.ended_at.is_not(None))
        if after is not None:
            statement = statement.where(tuple_(*order) > tuple_(after.ended_at, after.id))
        statement = statement.order_by(*order).limit(limit)
        return await self._database.read(lambda s: tuple(to_record(row) for row in s.scalars(statement)))

    async def removable(self) -> tuple[tuple[str, float], ...]:
        """→ (id, Unix time of the start) of ended ones that nobody keeps, the oldest first."""
        statement = select(IncidentRow.id, IncidentRow.started_at)
        statement = statement.where(IncidentRow.kept.is_(False), IncidentRow.ended_at.is_not(None))
        statement = statement.order_by(IncidentRow.started_at, IncidentRow.id)
        return await self._database.read(
            lambda session: tuple((row.id, row.started_at) for row in session.execute(statement))
        )

    async def ids(self) -> frozenset[str]:
        return await self._database.read(lambda session: frozenset(session.scalars(select(IncidentRow.id))))

    async def delete(self, incident_id: str) -> bool:
        """What of it is in the bucket goes later. → False if there is none, or somebody keeps it meanwhile."""
        statement = delete(IncidentRow).where(IncidentRow.id == incident_id, IncidentRow.kept.is_(False))

        def work(session: Session) -> bool:
            gone = bool(session.execute(statement).rowcount)  # type: ignore[attr-defined] # CursorResult's
            if gone:
                doom(session, incident_id)
            return gone

        return await self._database.write(work)

    async def only_in_bucket(self) -> dict[str, int]:
        """→ bytes of files that have no local copy, by incident."""
        return await self._database.read(only_in_bucket)


def needed_spans(session: Session) -> tuple[Needed, ...]:
    """→ what incidents show of their streams; those that go on need all that comes."""
    row = IncidentRow
    columns = (row.stream_id, row.started_at, row.ended_at, row.terms, row.kept)
    return tuple(_needed(found) for found in session.execute(select(*columns)))


def _needed(row: Any) -> Needed:
    before_s, after_s = row.terms.get("clip") or (0.0, 0.0)
    ended_at = math.inf if row.ended_at is None else row.ended_at
    return Needed(row.stream_id, row.started_at - before_s, ended_at + after_s, row.kept)


def _count_kept(session: Session, besides: str) -> int:
    statement = select(func.count()).select_from(IncidentRow)
    return session.scalar(statement.where(IncidentRow.kept.is_(True), IncidentRow.id != besides)) or 0


def _conditions(wanted: IncidentFilter) -> list[ColumnElement[bool]]:
    row = IncidentRow
    chosen = (
        (row.stream_id, wanted.streams),
        (row.rule_id, wanted.rules),
        (row.zone, wanted.zones),
        (row.severity, wanted.severities),
        (row.state, wanted.states),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in chosen if values]
    if wanted.since is not None:
        conditions.append(row.started_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(row.started_at < wanted.until)
    return conditions


def _seen(visible: Visible) -> ColumnElement[bool]:
    return seen(visible, IncidentRow.stream_id, IncidentRow.started_at)


def to_record(row: IncidentRow) -> IncidentRecord:
    return IncidentRecord(**{name: getattr(row, name) for name in IncidentRecord.__slots__})
