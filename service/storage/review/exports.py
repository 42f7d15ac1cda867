"""Exported cases as they are stored, who may see them, and what of the past belongs into one. May raise StoreError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, not_, or_, select, update
from sqlalchemy.orm import Session

from service.rights import Visible
from service.storage.alert_tables import IncidentRow
from service.storage.database import Database
from service.storage.incidents import IncidentRecord, to_record
from service.storage.message_log import to_event
from service.storage.paging import newest_first, page_of
from service.storage.records import Cursor, EventRecord, Page
from service.storage.review.export_tables import ExportRow, ExportStreamRow
from service.storage.review.records import VerdictRecord
from service.storage.review.tables import VerdictRow
from service.storage.review.verdicts import to_verdict
from service.storage.segment import Needed
from service.storage.tables import EventRow, RecordingRow
from service.storage.visibility import seen

OPEN = ("queued", "running")
MOST_EVENTS = 100_000  # in one case


@dataclass(frozen=True, slots=True)
class ExportCamera:
    """``name`` as the camera was called then; ``keep``: ids of people who are not pixelated."""

    stream_id: str
    name: str
    keep: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One case. Times are Unix seconds; ``bytes`` and ``sha256`` of the ZIP, once it is there."""

    id: str
    name: str
    cameras: tuple[ExportCamera, ...]
    since: float
    until: float
    made_by: str
    created_at: float
    overlay: bool = False
    pixelate_others: bool = False
    cvat: bool = False
    state: str = "queued"
    reason: str = ""
    ended_at: float | None = None
    attempts: int = 0
    bytes: int | None = None
    sha256: str | None = None

    @property
    def stream_ids(self) -> tuple[str, ...]:
        return tuple(camera.stream_id for camera in self.cameras)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a case ended: ``done`` or ``failed``."""

    state: str
    at: float
    reason: str = ""
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """What happened in a span of time, oldest first. ``verdicts``: event → what stands. ``left_out``: events beyond
    MOST_EVENTS.
    """

    events: tuple[EventRecord, ...] = ()
    incidents: tuple[IncidentRecord, ...] = ()
    verdicts: Mapping[str, VerdictRecord] = field(default_factory=dict)
    left_out: int = 0


class ExportStore:
    """Async face of the tables. A case is seen by whoever sees each of its cameras from its beginning on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: ExportRecord, most: int, most_open: int) -> str:
        """→ empty, or why not: ``most`` cases are kept already, or ``most_open`` wait."""

        def work(session: Session) -> str:
            if _count(session) >= most:
                return f"{most} cases are kept, which is the limit: delete some"
            if _count(session, ExportRow.state.in_(OPEN)) >= most_open:
                return f"{most_open} cases wait, which is the limit: ask again later"
            session.add_all([_row(record), *_camera_rows(record)])
            return ""

        return await self._database.write(work)

    async def get(self, export_id: str, visible: Visible) -> ExportRecord | None:
        """→ None also for one that ``visible`` does not see."""
        statement = select(ExportRow).where(ExportRow.id == export_id, _seen(visible))

        def work(session: Session) -> ExportRecord | None:
            row = session.scalar(statement)
            return None if row is None else _records(session, [row])[0]

        return await self._database.read(work)

    async def list(self, visible: Visible, cursor: Cursor | None, limit: int) -> Page[ExportRecord]:
        """Newest first."""
        statement = newest_first(select(ExportRow), ExportRow.created_at, ExportRow.id, cursor, limit)
        statement = statement.where(_seen(visible))
        found = await self._database.read(lambda session: _records(session, session.scalars(statement).all()))
        return page_of(found, limit, [Cursor(each.created_at, each.id) for each in found])

    async def open_ones(self) -> tuple[ExportRecord, ...]:
        """Those that are not made yet, oldest first."""
        statement = select(ExportRow).where(ExportRow.state.in_(OPEN)).order_by(ExportRow.created_at, ExportRow.id)
        return await self._database.read(lambda session: tuple(_records(session, session.scalars(statement).all())))

    async def begin(self, export_id: str) -> bool:
        """It is being made. → False if there is none (any more)."""
        values = {"state": "running", "reason": "", "attempts": ExportRow.attempts + 1}
        return await self._changed(update(ExportRow).where(ExportRow.id == export_id).values(**values))

    async def put_back(self, export_id: str) -> bool:
        """The service ends in good order: this time does not count."""
        values = {"state": "queued", "attempts": ExportRow.attempts - 1}
        return await self._changed(update(ExportRow).where(ExportRow.id == export_id).values(**values))

    async def wait(self, export_id: str, reason: str) -> bool:
        """It is not being made (yet), and why."""
        statement = update(ExportRow).where(ExportRow.id == export_id)
        return await self._changed(statement.values(state="queued", reason=reason))

    async def end(self, export_id: str, ending: Ending) -> bool:
        """→ False if there is none (any more)."""
        values = {"state": ending.state, "reason": ending.reason, "ended_at": ending.at}
        statement = update(ExportRow).where(ExportRow.id == export_id)
        return await self._changed(statement.values(**values, bytes=ending.bytes, sha256=ending.sha256))

    async def delete(self, export_id: str) -> bool:
        """→ False if there is none (any more)."""

        def work(session: Session) -> bool:
            session.execute(delete(ExportStreamRow).where(ExportStreamRow.export_id == export_id))
            gone = session.execute(delete(ExportRow).where(ExportRow.id == export_id))
            return bool(gone.rowcount)  # type: ignore[attr-defined] # CursorResult's

        return await self._database.write(work)

    async def needed(self) -> tuple[Needed, ...]:
        """→ what cases that are not made yet need of recordings."""
        return await self._database.read(_spans)

    async def ids(self) -> frozenset[str]:
        return await self._database.read(lambda session: frozenset(session.scalars(select(ExportRow.id))))

    async def past(self, streams: Sequence[str], since: float, until: float) -> Past:
        """What overlaps the time from ``since`` to ``until`` (Unix)."""
        events = select(EventRow).where(*_overlaps(EventRow, streams, since, until))
        incidents = select(IncidentRow).where(*_overlaps(IncidentRow, streams, since, until))
        # Not by their own times: an event that was judged while it went on is longer than its verdict knows.
        verdicts = select(VerdictRow).where(VerdictRow.event_id.in_(events.with_only_columns(EventRow.id)))

        def work(session: Session) -> Past:
            ordered = events.order_by(EventRow.started_at, EventRow.id).limit(MOST_EVENTS)
            left_out = (session.scalar(select(func.count()).select_from(events.subquery())) or 0) - MOST_EVENTS
            found = session.scalars(incidents.order_by(IncidentRow.started_at, IncidentRow.id))
            standing = session.scalars(verdicts.where(VerdictRow.superseded_by.is_(None)))
            return Past(
                tuple(to_event(row) for row in session.scalars(ordered)),
                tuple(to_record(row) for row in found),
                {row.event_id: to_verdict(row) for row in standing},
                max(0, left_out),
            )

        return await self._database.read(work)

    async def recorded_until(self, stream_id: str) -> float | None:
        """→ Unix time up to which there are recordings; None where there are none."""
        statement = select(func.max(RecordingRow.ended_at)).where(RecordingRow.stream_id == stream_id)
        return await self._database.read(lambda session: session.scalar(statement))

    async def _changed(self, statement: Any) -> bool:
        return await self._database.write(
            lambda session: bool(session.execute(statement).rowcount)  # type: ignore[attr-defined] # CursorResult's
        )


def _spans(session: Session) -> tuple[Needed, ...]:
    row = ExportStreamRow
    columns = select(row.stream_id, ExportRow.since, ExportRow.until).join(ExportRow, ExportRow.id == row.export_id)
    found = session.execute(columns.where(ExportRow.state.in_(OPEN)))
    return tuple(Needed(each.stream_id, each.since, each.until, kept=True) for each in found)


def _seen(visible: Visible) -> ColumnElement[bool]:
    """There is no camera in it that may not be seen from the beginning on."""
    row = ExportStreamRow
    hidden = exists().where(row.export_id == ExportRow.id, not_(seen(visible, row.stream_id, row.since)))
    return not_(hidden)


def _overlaps(row: Any, streams: Sequence[str], since: float, until: float) -> tuple[ColumnElement[bool], ...]:
    goes_on = or_(row.ended_at.is_(None), row.ended_at >= since)
    return row.stream_id.in_(streams), row.started_at <= until, goes_on


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(ExportRow).where(*conditions)) or 0


_PLAIN = ("id", "name", "state", "reason", "since", "until", "made_by", "created_at", "ended_at", "attempts")
_FILE = ("bytes", "sha256")
_WISH = ("overlay", "pixelate_others", "cvat")


def _row(record: ExportRecord) -> ExportRow:
    plain = {name: getattr(record, name) for name in (*_PLAIN, *_FILE)}
    return ExportRow(**plain, wish={name: getattr(record, name) for name in _WISH})


def _camera_rows(record: ExportRecord) -> list[ExportStreamRow]:
    return [
        ExportStreamRow(
            **{"export_id": record.id, "place": place, "since": record.since, "keep": list(camera.keep)},
            **{"stream_id": camera.stream_id, "stream_name": camera.name},
        )
        for place, camera in enumerate(record.cameras)
    ]


def _records(session: Session, rows: Sequence[ExportRow]) -> list[ExportRecord]:
    of_them = ExportStreamRow.export_id.in_([row.id for row in rows])
    statement = select(ExportStreamRow).where(of_them).order_by(ExportStreamRow.export_id, ExportStreamRow.place)
    cameras: dict[str, list[ExportCamera]] = {row.id: [] for row in rows}
    for found in session.scalars(statement):
        cameras[found.export_id].append(ExportCamera(found.stream_id, found.stream_name, tuple(found.keep)))
    return [_record(row, tuple(cameras[row.id])) for row in rows]


def _record(row: ExportRow, cameras: tuple[ExportCamera, ...]) -> ExportRecord:
    plain = {name: getattr(row, name) for name in (*_PLAIN, *_FILE)}
    wish: dict[str, Any] = {name: bool(row.wish.get(name)) for name in _WISH}
    return ExportRecord(**plain, **wish, cameras=cameras)
