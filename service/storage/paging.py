"""Pages of rows by time: where the next one begins does not change when rows come at the front."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, or_
from sqlalchemy.orm import InstrumentedAttribute

from service.storage.records import Cursor, Page


def newest_first(
    statement: Select[Any],
    time: InstrumentedAttribute[float],
    row_id: InstrumentedAttribute[str],
    cursor: Cursor | None,
    limit: int,
) -> Select[Any]:
    """Keyset paging: rows that arrive at the front meanwhile shift nothing."""
    if cursor is not None:
        same = (time == cursor.time) & (row_id < cursor.id)
        statement = statement.where(or_(time < cursor.time, same))
    return statement.order_by(time.desc(), row_id.desc()).limit(limit + 1)


def page_of(rows: list[Any], limit: int, cursors: list[Cursor]) -> Page[Any]:
    """``rows`` has one more than ``limit`` where there is a next page; ``cursors``: of each."""
    more = len(rows) > limit
    return Page(tuple(rows[:limit]), cursors[limit - 1].encode() if more else None)
