"""What an ``EventFilter`` asks for, as conditions of a query."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from service.storage.alert_tables import IncidentRow
from service.storage.json_texts import any_of_json, elements_of
from service.storage.records import EventFilter
from service.storage.review.records import NONE
from service.storage.review.seconds import in_time_of_day
from service.storage.review.tables import ReviewedRow, VerdictRow
from service.storage.tables import EventRow

_DAY_S = 86_400.0


def event_conditions(wanted: EventFilter, session: Session) -> list[ColumnElement[bool]]:
    """For rows of events, joined with their newest verdict and the mark of whoever asks."""
    return [*_chosen(wanted), *_bounds(wanted), *_judged(wanted), *_time_of_day(wanted, session)]


def _chosen(wanted: EventFilter) -> list[ColumnElement[bool]]:
    row = EventRow
    columns: tuple[tuple[Any, Any], ...] = (
        (row.stream_id, wanted.streams),
        (row.action, wanted.actions),
        (row.track_id, wanted.tracks),
        (row.model, wanted.models),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in columns if values]
    if wanted.zones:
        conditions.append(any_of_json(row.zones, wanted.zones))
    if wanted.rules:
        conditions.append(row.id.in_(elements_of(IncidentRow.events, IncidentRow.rule_id.in_(wanted.rules))))
    return conditions


def _bounds(wanted: EventFilter) -> list[ColumnElement[bool]]:
    row = EventRow
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(row.started_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(row.started_at < wanted.until)
    if wanted.min_confidence is not None:
        conditions.append(row.peak_confidence >= wanted.min_confidence)
    if wanted.max_confidence is not None:
        conditions.append(row.peak_confidence <= wanted.max_confidence)
    if wanted.min_duration_s is not None:
        length = func.coalesce(row.end_s - row.start_s, row.updated_at - row.started_at)
        conditions.append(length >= wanted.min_duration_s)
    return conditions


def _judged(wanted: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.verdicts:
        among = VerdictRow.verdict.in_([each for each in wanted.verdicts if each != NONE])
        conditions.append(or_(among, VerdictRow.id.is_(None)) if NONE in wanted.verdicts else among)
    if wanted.reviewed is not None:
        conditions.append(ReviewedRow.at.is_not(None) if wanted.reviewed else ReviewedRow.at.is_(None))
    if wanted.audit is not None:
        conditions.append(EventRow.audit.is_(wanted.audit))
    return conditions


def _time_of_day(wanted: EventFilter, session: Session) -> list[ColumnElement[bool]]:
    if wanted.time_of_day is None:
        return []
    return [in_time_of_day(EventRow.started_at, *wanted.time_of_day, _span(wanted, session))]


def _span(wanted: EventFilter, session: Session) -> tuple[float, float]:
    """→ Unix times between which what is wanted lies: few changes of the clock have to be told apart then."""
    first, last = session.execute(select(func.min(EventRow.started_at), func.max(EventRow.started_at))).one()
    begin = max(first or 0.0, wanted.since or 0.0)
    end = min(last or time.time(), wanted.until or float("inf"))
    return begin, max(end, begin) + _DAY_S
