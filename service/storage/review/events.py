"""Events with what people said of them: one, a page of them, and whoever has looked at which."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, case, delete, insert, or_, select
from sqlalchemy.orm import Session

from service.rights import Principal, Visible
from service.storage.database import Database
from service.storage.message_log import to_event
from service.storage.paging import newest_first, page_of
from service.storage.records import Cursor, EventFilter, Page
from service.storage.review.conditions import event_conditions
from service.storage.review.near import Thresholds
from service.storage.review.records import SeenEvent
from service.storage.review.shadow import disputed
from service.storage.review.tables import ReviewedRow, VerdictRow
from service.storage.review.verdicts import to_verdict
from service.storage.tables import EventRow
from service.storage.visibility import seen

Order = Literal["newest", "review"]
_BETWEEN = "/"  # rank and id in the cursor of a review


def reviewer(who: Principal) -> str:
    """→ by what name the marks of a principal are kept."""
    return f"{who.kind}:{who.id}"


class EventStore:
    """Async face of the tables. ``who`` may be anybody: of what is not ``visible`` nothing comes back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, event_id: str, visible: Visible, who: str) -> SeenEvent | None:
        statement = _rows(who).where(EventRow.id == event_id, _visible(visible))

        def work(session: Session) -> SeenEvent | None:
            row = session.execute(statement).one_or_none()
            return None if row is None else _seen_event(row)

        return await self._database.read(work)

    async def list(
        self, wanted: EventFilter, visible: Visible, who: str, cursor: Cursor | None, limit: int
    ) -> Page[SeenEvent]:
        """Newest start first."""
        statement = newest_first(_rows(who), EventRow.started_at, EventRow.id, cursor, limit).where(_visible(visible))
        rows = await self._database.read(lambda session: _read(session, statement, wanted))
        return page_of(rows, limit, [Cursor(row.event.started_at, row.event.id) for row in rows])

    async def to_review(
        self,
        wanted: EventFilter,
        visible: Visible,
        who: str,
        thresholds: Thresholds,
        page: tuple[Cursor | None, int],
    ) -> Page[SeenEvent]:
        """Of those without verdict first the audit sample, then what only just became an event, or what a version that
        is tried judged otherwise; each newest first.

        ``page``: cursor and limit. Raises ValueError for a cursor of another list.
        """
        rank, (cursor, limit) = _rank(thresholds), page
        statement = _rows(who).add_columns(rank.label("rank")).where(_visible(visible))
        if cursor is not None:
            statement = statement.where(_after(rank, cursor))
        statement = statement.order_by(rank, EventRow.started_at.desc(), EventRow.id.desc()).limit(limit + 1)

        def work(session: Session) -> Any:
            rows = session.execute(statement.where(*event_conditions(wanted, session))).all()
            return [(_seen_event(row), row.rank) for row in rows]

        rows = await self._database.read(work)
        cursors = [Cursor(row.event.started_at, f"{place}{_BETWEEN}{row.event.id}") for row, place in rows]
        return page_of([row for row, _ in rows], limit, cursors)

    async def mark(self, event_ids: Collection[str], reviewed: bool, visible: Visible, who: str) -> str | None:
        """Marks all of them, or none. → an id that is not seen, if there is one."""
        ids = sorted(set(event_ids))
        known = select(EventRow.id).where(EventRow.id.in_(ids), _visible(visible))

        def work(session: Session) -> str | None:
            found = set(session.scalars(known))
            if len(found) < len(ids):
                return next(each for each in ids if each not in found)
            _mark(session, ids, reviewed, who)
            return None

        return await self._database.write(work)


def _mark(session: Session, ids: Sequence[str], reviewed: bool, who: str) -> None:
    mine = ReviewedRow.who == who, ReviewedRow.event_id.in_(ids)
    if not reviewed:
        session.execute(delete(ReviewedRow).where(*mine))
        return
    marked = set(session.scalars(select(ReviewedRow.event_id).where(*mine)))
    fresh = [{"who": who, "event_id": each, "at": time.time()} for each in ids if each not in marked]
    if fresh:
        session.execute(insert(ReviewedRow), fresh)


def _read(session: Session, statement: Select[Any], wanted: EventFilter) -> list[SeenEvent]:
    return [_seen_event(row) for row in session.execute(statement.where(*event_conditions(wanted, session)))]


def _rows(who: str) -> Any:
    newest = and_(VerdictRow.event_id == EventRow.id, VerdictRow.superseded_by.is_(None))
    mine = and_(ReviewedRow.event_id == EventRow.id, ReviewedRow.who == who)
    columns = select(EventRow, VerdictRow, ReviewedRow.at.label("reviewed_at"))
    return columns.outerjoin(VerdictRow, newest).outerjoin(ReviewedRow, mine)


def _seen_event(row: Any) -> SeenEvent:
    verdict = None if row.VerdictRow is None else to_verdict(row.VerdictRow)
    return SeenEvent(to_event(row.EventRow), verdict, row.reviewed_at is not None)


def _visible(visible: Visible) -> ColumnElement[bool]:
    return seen(visible, EventRow.stream_id, EventRow.started_at)


def _rank(thresholds: Thresholds) -> ColumnElement[int]:
    judged = VerdictRow.id.is_not(None)
    unsure = or_(thresholds.condition, EventRow.id.in_(disputed()))
    return case((judged, 2), (EventRow.audit.is_(True), 0), (unsure, 1), else_=2)


def _after(rank: ColumnElement[int], cursor: Cursor) -> ColumnElement[bool]:
    place, between, event_id = cursor.id.partition(_BETWEEN)
    if not between or place not in ("0", "1", "2"):
        raise ValueError("expected a next_cursor of this list")
    started = EventRow.started_at
    older = or_(started < cursor.time, and_(started == cursor.time, EventRow.id < event_id))
    return or_(rank > int(place), and_(rank == int(place), older))
