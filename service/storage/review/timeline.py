"""What happened in a span of time, small enough for a page that shows a day of many cameras at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, case, func, literal_column, or_, select
from sqlalchemy.orm import Session

from service.rights import Visible
from service.storage.alert_tables import IncidentRow
from service.storage.database import Database
from service.storage.json_texts import elements_of
from service.storage.review.seconds import Whole
from service.storage.review.tables import ReviewedRow, VerdictRow
from service.storage.tables import EventRow, RecordingRow
from service.storage.visibility import seen

MAX_EVENTS = 10_000
MAX_SPANS = 5_000  # recordings told one by one; more of them as what they cover
MAX_RUNS = 50_000
LONGEST_S = 86_400.0  # an action that began so long before the span is not looked for in it
TOGETHER_S = 2.0  # a pause between two recordings that is none
_BUCKETS = 300  # about, in the whole span
_SIZES = (60, 300, 600, 1800, 3600, 7200, 14_400)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Unix times, and the streams that are asked for (none: all)."""

    since: float
    until: float
    streams: Sequence[str] = ()

    @property
    def bucket_s(self) -> int:
        """How fine the density is."""
        return next((size for size in _SIZES if (self.until - self.since) / size <= _BUCKETS), _SIZES[-1])


@dataclass(frozen=True, slots=True)
class TimelineRecord:
    """``events``: (id, stream, track, action, start, end or None, peak confidence, verdict or None, reviewed, alerted),
    newest first; ``left_out`` older ones. ``recordings``: stream → (id, start, end) in order; where they are many, runs
    of them, each by its first one's id; ``recordings_left_out`` older runs. ``density``: (start of a bucket, action,
    events that began in it).
    """

    events: tuple[Row, ...]
    left_out: int
    recordings: dict[str, tuple[Row, ...]]
    recordings_left_out: int
    density: tuple[Row, ...]


class TimelineStore:
    """Async face of the tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, span: Span, visible: Visible, who: str) -> TimelineRecord:
        def work(session: Session) -> TimelineRecord:
            events, left_out = _events(session, span, visible, who)
            recordings, runs_left_out = _recordings(session, span, visible)
            return TimelineRecord(events, left_out, recordings, runs_left_out, _density(session, span, visible))

        return await self._database.read(work)


def _events(session: Session, span: Span, visible: Visible, who: str) -> tuple[tuple[Row, ...], int]:
    within = _events_in(span, visible)
    alerted = set(session.scalars(elements_of(IncidentRow.events, _incidents_in(span))))
    rows = session.execute(_columns(who).where(*within).limit(MAX_EVENTS)).all()
    count = len(rows)
    if count == MAX_EVENTS:
        count = session.scalar(select(func.count()).select_from(EventRow).where(*within)) or count
    return tuple((*row[:8], row[8] is not None, row[0] in alerted) for row in rows), count - len(rows)


def _columns(who: str) -> Any:
    row = EventRow
    newest = and_(VerdictRow.event_id == row.id, VerdictRow.superseded_by.is_(None))
    mine = and_(ReviewedRow.event_id == row.id, ReviewedRow.who == who)
    columns = row.id, row.stream_id, row.track_id, row.action, row.started_at, row.ended_at, row.peak_confidence
    statement = select(*columns, VerdictRow.verdict, ReviewedRow.at).select_from(row)
    joined = statement.outerjoin(VerdictRow, newest).outerjoin(ReviewedRow, mine)
    return joined.order_by(row.started_at.desc(), row.id.desc())


def _events_in(span: Span, visible: Visible) -> list[ColumnElement[bool]]:
    row = EventRow
    goes_on = or_(row.ended_at.is_(None), row.ended_at > span.since, row.started_at >= span.since)
    times = row.started_at >= span.since - LONGEST_S, row.started_at < span.until
    return [*times, goes_on, *_among(row.stream_id, span), seen(visible, row.stream_id, row.started_at)]


def _incidents_in(span: Span) -> ColumnElement[bool]:
    row = IncidentRow
    times = row.started_at < span.until, or_(row.ended_at.is_(None), row.ended_at >= span.since - LONGEST_S)
    return and_(*times, *_among(row.stream_id, span))


def _among(column: Any, span: Span) -> list[ColumnElement[bool]]:
    return [column.in_(span.streams)] if span.streams else []


def _recordings(session: Session, span: Span, visible: Visible) -> tuple[dict[str, tuple[Row, ...]], int]:
    """→ stream → its recordings or runs of them, and how many older runs are left out."""
    row = RecordingRow
    times = row.started_at < span.until, row.started_at >= span.since - LONGEST_S, row.ended_at > span.since
    within = [*times, *_among(row.stream_id, span), seen(visible, row.stream_id, row.started_at)]
    columns = select(row.stream_id, row.id, row.started_at, row.ended_at).where(*within)
    rows, left_out = session.execute(columns.limit(MAX_SPANS + 1)).all(), 0
    if len(rows) > MAX_SPANS:
        runs = _runs(columns.subquery())
        rows = session.execute(select(runs).order_by(runs.c.begin.desc()).limit(MAX_RUNS)).all()
        if len(rows) == MAX_RUNS:
            left_out = (session.scalar(select(func.count()).select_from(runs)) or MAX_RUNS) - MAX_RUNS
    ordered = sorted(rows, key=lambda each: (each[0], each[2], each[1]))
    by_stream = groupby(ordered, lambda each: str(each[0]))
    return {key: tuple(tuple(each[1:]) for each in some) for key, some in by_stream}, left_out


def _runs(recordings: Subquery) -> Subquery:
    """→ recordings without a pause between them as one: stream, id of the first, ``begin`` and end.

    Counted by the database: a month of many cameras has more recordings than are worth being read.
    """
    before = func.max(recordings.c.ended_at).over(**_in_order(recordings), rows=(None, -1))
    told = select(recordings, before.label("before")).subquery()
    pause = told.c.started_at - told.c.before > TOGETHER_S
    numbered = select(told, case((or_(told.c.before.is_(None), pause), 1), else_=0).label("begins")).subquery()
    number = func.sum(numbered.c.begins).over(**_in_order(numbered), rows=(None, 0))
    run = select(numbered, number.label("run")).subquery().c
    first = func.max(case((run.begins == 1, run.id)))
    span = first.label("id"), func.min(run.started_at).label("begin"), func.max(run.ended_at).label("end")
    return select(run.stream_id, *span).group_by(run.stream_id, run.run).subquery()


def _in_order(recordings: Subquery) -> dict[str, Any]:
    each = recordings.c
    return {"partition_by": each.stream_id, "order_by": (each.started_at, each.id)}


def _density(session: Session, span: Span, visible: Visible) -> tuple[Row, ...]:
    row = EventRow
    size: ColumnElement[int] = literal_column(str(span.bucket_s))
    bucket = (Whole(row.started_at) // size * size).label("bucket")
    statement = select(bucket, row.action, func.count()).group_by(bucket, row.action).order_by(bucket, row.action)
    statement = statement.where(row.started_at >= span.since, row.started_at < span.until)
    statement = statement.where(*_among(row.stream_id, span), seen(visible, row.stream_id, row.started_at))
    return tuple(tuple(each) for each in session.execute(statement))
