"""What the service remembers: streams, events, the message log, recordings. Every method may raise StoreError."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import ColumnElement, Select, delete, func, insert, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.ids import new_id
from service.storage import message_log
from service.storage.database import Database, StoreError
from service.storage.records import (
    Cursor,
    EventFilter,
    EventRecord,
    Page,
    RecordingFilter,
    RecordingRecord,
    StreamRecord,
)
from service.storage.secret_box import SecretBox, SecretBoxError
from service.storage.segment import Segment
from service.storage.tables import EventRow, RecordingRow, StreamRow

log = logging.getLogger(__name__)

__all__ = ["Store", "StoreError"]

_OPTIONS = ("actions", "record", "transport", "pace", "loop")


class Store:
    """Async face of the database. Statements run on the Database's threads, never on the event loop."""

    def __init__(self, database: Database, box: SecretBox, recordings_dir: Path, messages_keep: int = 100_000) -> None:
        self._database = database
        self._box = box
        self._recordings_dir = recordings_dir.resolve()
        self._messages_keep = messages_keep

    async def open(self) -> None:
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def ping(self) -> None:
        """Returns if the database answers."""
        await self._database.read(lambda session: session.execute(select(1)))

    # -- streams

    async def add_stream(self, record: StreamRecord) -> None:
        values = self._stream_values(record)
        await self._database.write(lambda session: session.execute(insert(StreamRow).values(**values)))

    async def change_stream(self, record: StreamRecord) -> bool:
        """Replaces the stream of this id. → False if there is none (any more)."""
        values = self._stream_values(record)
        statement = update(StreamRow).where(StreamRow.id == record.id).values(**values)
        return await self._database.write(lambda session: _changed_rows(session, statement) > 0)

    async def delete_stream(self, stream_id: str) -> bool:
        """Its events and recordings stay. → False if there is none."""
        statement = delete(StreamRow).where(StreamRow.id == stream_id)
        return await self._database.write(lambda session: _changed_rows(session, statement) > 0)

    async def get_stream(self, stream_id: str) -> StreamRecord | None:
        def work(session: Session) -> StreamRecord | None:
            row = session.get(StreamRow, stream_id)
            return None if row is None else self._to_stream(row)

        return await self._database.read(work)

    async def all_streams(self) -> tuple[StreamRecord, ...]:
        """Oldest first."""
        statement = select(StreamRow).order_by(StreamRow.created_at, StreamRow.id)
        return await self._database.read(lambda s: tuple(self._to_stream(row) for row in s.scalars(statement)))

    async def stream_ids(self) -> frozenset[str]:
        return await self._database.read(lambda session: frozenset(session.scalars(select(StreamRow.id))))

    async def list_streams(self, cursor: Cursor | None, limit: int) -> Page[StreamRecord]:
        """Oldest first, so that a page does not change when a stream is added."""
        statement = select(StreamRow).order_by(StreamRow.created_at, StreamRow.id).limit(limit + 1)
        if cursor is not None:
            same = (StreamRow.created_at == cursor.time) & (StreamRow.id > cursor.id)
            statement = statement.where(or_(StreamRow.created_at > cursor.time, same))
        rows = await self._database.read(lambda s: [self._to_stream(row) for row in s.scalars(statement)])
        return _page(rows, limit, [Cursor(row.created_at, row.id) for row in rows])

    async def last_track_id(self, stream_id: str) -> int:
        """→ the highest track id that has an event in this stream, 0 without any."""
        statement = select(func.max(EventRow.track_id)).where(EventRow.stream_id == stream_id)
        return await self._database.read(lambda session: session.scalar(statement) or 0)

    def _stream_values(self, record: StreamRecord) -> dict[str, Any]:
        options = {name: getattr(record, name) for name in _OPTIONS}
        options["actions"] = None if record.actions is None else dict(record.actions)
        options["finished_at"] = record.finished_at
        options |= {"tier": record.tier, "snapshot_s": record.snapshot_s}
        return {
            "id": record.id,
            "name": record.name,
            "url_sealed": self._box.seal(record.url),
            "model": record.model,
            "options": options,
            "enabled": record.enabled,
            "created_at": record.created_at,
        }

    def _to_stream(self, row: StreamRow) -> StreamRecord:
        try:
            url = self._box.unseal(row.url_sealed)
        except SecretBoxError as error:
            log.error("stream %s: %s; give it its URL again with PATCH", row.id, error)
            url = SecretStr("")
        options = {name: row.options[name] for name in _OPTIONS}
        return StreamRecord(
            row.id,
            row.name,
            url,
            row.model,
            **options,
            enabled=row.enabled,
            created_at=row.created_at,
            finished_at=row.options.get("finished_at"),  # rows of older versions have neither it nor those
            tier=row.options.get("tier", "auto"),
            snapshot_s=row.options.get("snapshot_s", 1.0),
        )

    # -- messages and events

    async def append(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Keeps messages that have a ``seq``, follows their events, prunes the log. All or nothing."""
        keep = self._messages_keep
        await self._database.write(lambda session: message_log.append(session, messages, keep))

    async def last_seq(self) -> int:
        return await self._database.read(message_log.last_seq)

    async def oldest_seq(self) -> int | None:
        """→ the first message that can still be replayed; None when the log is empty."""
        return await self._database.read(message_log.oldest_seq)

    async def replay(
        self, after: int, until: int, limit: int, streams: Sequence[str] = ()
    ) -> tuple[dict[str, Any], ...]:
        """→ messages with after < seq ≤ until in order, at most ``limit``."""
        return await self._database.read(lambda session: message_log.replay(session, (after, until), limit, streams))

    async def open_events(self) -> tuple[EventRecord, ...]:
        """Actions that have not ended: after a crash, those that nobody will end any more."""
        statement = select(EventRow).where(EventRow.ended_at.is_(None)).order_by(EventRow.last_seq)
        return await self._database.read(lambda s: tuple(_to_event(row) for row in s.scalars(statement)))

    async def list_events(self, wanted: EventFilter, cursor: Cursor | None, limit: int) -> Page[EventRecord]:
        """Newest start first."""
        statement = _newest_first(select(EventRow), EventRow.started_at, EventRow.id, cursor, limit)
        statement = statement.where(*_event_conditions(wanted))
        rows = await self._database.read(lambda s: [_to_event(row) for row in s.scalars(statement)])
        return _page(rows, limit, [Cursor(row.started_at, row.id) for row in rows])

    # -- recordings

    async def add_recording(self, segment: Segment) -> RecordingRecord:
        """Indexes a finished file under the recordings folder. A path that is known already is no error."""
        record = self._to_recording(segment)

        def work(session: Session) -> RecordingRecord:
            known = session.scalar(select(RecordingRow).where(RecordingRow.path == record.path))
            if known is not None:
                return _recording(known)
            last = session.scalar(select(func.max(RecordingRow.came))) or 0  # one thread writes
            values = {name: getattr(record, name) for name in RecordingRecord.__slots__}
            session.add(RecordingRow(**values, came=last + 1))
            return record

        return await self._database.write(work)

    def _to_recording(self, segment: Segment) -> RecordingRecord:
        height, width = segment.size_hw
        path = self._relative(segment.path)
        return RecordingRecord(
            id=new_id("rec"),
            stream_id=path.partition("/")[0],  # each stream records into a folder of its own
            path=path,
            events_path=None if segment.events_path is None else self._relative(segment.events_path),
            started_at=segment.started_at,
            ended_at=segment.ended_at,
            start_s=segment.start_s,
            duration_s=segment.duration_s,
            bytes=segment.bytes,
            frames=segment.frames,
            width=width,
            height=height,
        )

    def _relative(self, path: Path) -> str:
        """Raises ValueError for a file outside the recordings folder."""
        return (self._recordings_dir / path).resolve().relative_to(self._recordings_dir).as_posix()

    async def get_recording(self, recording_id: str) -> RecordingRecord | None:
        def work(session: Session) -> RecordingRecord | None:
            row = session.get(RecordingRow, recording_id)
            return None if row is None else _recording(row)

        return await self._database.read(work)

    async def delete_recording(self, recording_id: str) -> bool:
        """Forgets the row only; ``reconcile.Recordings`` deletes the file too, in the right order."""
        statement = delete(RecordingRow).where(RecordingRow.id == recording_id)
        return await self._database.write(lambda session: _changed_rows(session, statement) > 0)

    async def all_recordings(self) -> tuple[RecordingRecord, ...]:
        """In the order in which they were indexed, whatever the clock said."""
        statement = select(RecordingRow).order_by(RecordingRow.came, RecordingRow.started_at, RecordingRow.id)
        return await self._database.read(lambda s: tuple(_recording(row) for row in s.scalars(statement)))

    async def recording_paths(self, stream_id: str) -> frozenset[str]:
        """→ the paths of one stream's recordings, relative to the recordings folder."""
        statement = select(RecordingRow.path).where(RecordingRow.stream_id == stream_id)
        return await self._database.read(lambda session: frozenset(session.scalars(statement)))

    async def list_recordings(
        self, wanted: RecordingFilter, cursor: Cursor | None, limit: int
    ) -> Page[RecordingRecord]:
        """Newest start first."""
        statement = _newest_first(select(RecordingRow), RecordingRow.started_at, RecordingRow.id, cursor, limit)
        if wanted.streams:
            statement = statement.where(RecordingRow.stream_id.in_(wanted.streams))
        if wanted.since is not None:
            statement = statement.where(RecordingRow.ended_at > wanted.since)
        if wanted.until is not None:
            statement = statement.where(RecordingRow.started_at < wanted.until)
        rows = await self._database.read(lambda s: [_recording(row) for row in s.scalars(statement)])
        return _page(rows, limit, [Cursor(row.started_at, row.id) for row in rows])


def _changed_rows(session: Session, statement: Any) -> int:
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined] # only CursorResult has it


def _newest_first(
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


def _page(rows: list[Any], limit: int, cursors: list[Cursor]) -> Page[Any]:
    """``rows`` has one more than ``limit`` where there is a next page."""
    more = len(rows) > limit
    return Page(tuple(rows[:limit]), cursors[limit - 1].encode() if more else None)


def _event_conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.streams:
        conditions.append(EventRow.stream_id.in_(wanted.streams))
    if wanted.actions:
        conditions.append(EventRow.action.in_(wanted.actions))
    if wanted.tracks:
        conditions.append(EventRow.track_id.in_(wanted.tracks))
    if wanted.since is not None:
        conditions.append(EventRow.started_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(EventRow.started_at < wanted.until)
    if wanted.min_confidence is not None:
        conditions.append(EventRow.peak_confidence >= wanted.min_confidence)
    return conditions


def _to_event(row: EventRow) -> EventRecord:
    return EventRecord(**{name: getattr(row, name) for name in EventRecord.__slots__})


def _recording(row: RecordingRow) -> RecordingRecord:
    return RecordingRecord(**{name: getattr(row, name) for name in RecordingRecord.__slots__})
