"""Verdicts as they are stored: every version stays, each names the one that followed it. May raise StoreError."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.orm import Session

from service.rights import Visible
from service.storage.alert_tables import IncidentRow
from service.storage.database import Database
from service.storage.json_texts import any_of_json
from service.storage.paging import newest_first, page_of
from service.storage.records import Cursor, EventRecord, Page
from service.storage.review.records import CorrectionFilter, VerdictRecord
from service.storage.review.tables import VerdictRow
from service.storage.visibility import seen

PENDING, STORED, MISSING = "pending", "stored", "none"


class VerdictStore:
    """Async face of the table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, record: VerdictRecord) -> VerdictRecord:
        """The next version of what is said of its event. → what stands now.

        The same once more changes nothing, but that a clip that could not be had is tried once more.
        """

        def work(session: Session) -> VerdictRecord:
            before = session.scalar(_versions(record.event_id).limit(1))
            if before is None:
                session.add(_row(replace(record, version=1)))
                return replace(record, version=1)
            if to_verdict(before).says_like(record):
                if (before.clip, record.clip) == (MISSING, PENDING):
                    before.clip, before.clip_reason = PENDING, ""
                return to_verdict(before)
            fresh = replace(record, version=before.version + 1)
            before.superseded_by = fresh.id
            session.add(_row(fresh))
            return fresh

        return await self._database.write(work)

    async def versions(self, event_id: str) -> tuple[VerdictRecord, ...]:
        """Newest first."""
        return await self._all(_versions(event_id))

    async def get(self, verdict_id: str, visible: Visible) -> VerdictRecord | None:
        statement = select(VerdictRow).where(VerdictRow.id == verdict_id, _seen(visible))

        def work(session: Session) -> VerdictRecord | None:
            row = session.scalar(statement)
            return None if row is None else to_verdict(row)

        return await self._database.read(work)

    async def list(
        self, wanted: CorrectionFilter, visible: Visible, cursor: Cursor | None, limit: int
    ) -> Page[VerdictRecord]:
        """Those that stand, newest first."""
        statement = newest_first(select(VerdictRow), VerdictRow.at, VerdictRow.id, cursor, limit)
        statement = statement.where(_standing(), _seen(visible), *_conditions(wanted))
        rows = await self._all(statement)
        return page_of(list(rows), limit, [Cursor(row.at, row.id) for row in rows])

    async def counts(self, visible: Visible) -> tuple[tuple[str, str, str, int], ...]:
        """→ (stream, split, label, number) of those that stand and have a clip."""
        columns = VerdictRow.stream_id, VerdictRow.split, VerdictRow.label
        statement = select(*columns, func.count()).group_by(*columns).order_by(*columns)
        statement = statement.where(
            _standing(), _seen(visible), VerdictRow.clip == STORED, VerdictRow.label.is_not(None)
        )
        return await self._database.read(lambda s: tuple((a, b, str(c), n) for a, b, c, n in s.execute(statement)))

    async def names(self, visible: Visible) -> dict[str, str]:
        """→ streams that have verdicts, by their name in the newest of them."""
        statement = select(VerdictRow.stream_id, VerdictRow.stream_name).where(_seen(visible)).order_by(VerdictRow.at)
        return await self._database.read(
            lambda session: {row.stream_id: row.stream_name for row in session.execute(statement)}
        )

    async def incident_of(self, event: EventRecord) -> str | None:
        """→ the first incident that this event is part of."""
        statement = select(IncidentRow.id).where(
            IncidentRow.stream_id == event.stream_id, any_of_json(IncidentRow.events, [event.id])
        )
        statement = statement.order_by(IncidentRow.started_at, IncidentRow.id).limit(1)
        return await self._database.read(lambda session: session.scalar(statement))

    # -- clips

    async def pending(self, limit: int, after: VerdictRecord | None = None) -> tuple[VerdictRecord, ...]:
        """Those whose clip is to be cut, the oldest first, of those ``after`` one."""
        statement = select(VerdictRow).where(VerdictRow.clip == PENDING).order_by(VerdictRow.at, VerdictRow.id)
        if after is not None:
            statement = statement.where(tuple_(VerdictRow.at, VerdictRow.id) > tuple_(after.at, after.id))
        return await self._all(statement.limit(limit))

    async def waiting(self) -> int:
        """→ how many wait for their clip."""
        statement = select(func.count()).select_from(VerdictRow).where(VerdictRow.clip == PENDING)
        return await self._database.read(lambda session: session.scalar(statement) or 0)

    async def superseded(self) -> tuple[VerdictRecord, ...]:
        """Those with a clip that stand no more."""
        return await self._all(
            select(VerdictRow).where(VerdictRow.clip == STORED, VerdictRow.superseded_by.is_not(None))
        )

    async def clip_known(self, verdict_id: str, clip: str, reason: str = "", sha256: str | None = None) -> None:
        statement = update(VerdictRow).where(VerdictRow.id == verdict_id)
        statement = statement.values(clip=clip, clip_reason=reason, sha256=sha256)
        await self._database.write(lambda session: session.execute(statement))

    async def ids(self) -> frozenset[str]:
        return await self._database.read(lambda session: frozenset(session.scalars(select(VerdictRow.id))))

    async def _all(self, statement: Any) -> tuple[VerdictRecord, ...]:
        return await self._database.read(lambda session: tuple(to_verdict(row) for row in session.scalars(statement)))


def to_verdict(row: VerdictRow) -> VerdictRecord:
    return VerdictRecord(**{name: getattr(row, name) for name in VerdictRecord.__slots__})


def _row(record: VerdictRecord) -> VerdictRow:
    return VerdictRow(**{name: getattr(record, name) for name in VerdictRecord.__slots__})


def _versions(event_id: str) -> Any:
    return select(VerdictRow).where(VerdictRow.event_id == event_id).order_by(VerdictRow.version.desc())


def _standing() -> ColumnElement[bool]:
    return VerdictRow.superseded_by.is_(None)


def _seen(visible: Visible) -> ColumnElement[bool]:
    return seen(visible, VerdictRow.stream_id, VerdictRow.started_at)


def _conditions(wanted: CorrectionFilter) -> list[ColumnElement[bool]]:
    columns: Sequence[tuple[Any, Sequence[str]]] = (
        (VerdictRow.stream_id, wanted.streams),
        (VerdictRow.label, wanted.labels),
        (VerdictRow.split, wanted.splits),
        (VerdictRow.clip, wanted.clips),
    )
    return [column.in_(values) for column, values in columns if values]
