"""What the service remembers: streams, events, the message log, recordings. Every method may raise StoreError."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from service.ids import new_id
from service.rights import Visible
from service.storage import message_log
from service.storage.database import Database, StoreError
from service.storage.groups import in_group
from service.storage.incidents import needed_spans
from service.storage.objects import doom, doomed_recordings
from service.storage.paging import newest_first, page_of
from service.storage.records import (
    Cursor,
    EventRecord,
    Page,
    RecordingFilter,
    RecordingRecord,
    StreamFilter,
    StreamRecord,
)
from service.storage.secret_box import SecretBox, SecretBoxError
from service.storage.segment import Needed, Segment
from service.storage.tables import EventRow, RecordingRow, StreamRow, ZonesRow
from service.storage.visibility import seen
from service.storage.zones import ZoneStore

log = logging.getLogger(__name__)

__all__ = ["Store", "StoreError"]

_OPTIONS = ("actions", "record", "transport", "pace", "loop")


class Store:
    """Async face of the database. Statements run on the Database's threads, never on the event loop."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        recordings_dir: Path,
        messages_keep: int = 100_000,
        audit_share: float = 0.0,
    ) -> None:
        self._database = database
        self._box = box
        self._recordings_dir = recordings_dir.resolve()
        self._messages_keep = messages_keep
        self._audit_share = audit_share
        self.zones = ZoneStore(database)

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
        """Its zones go with it, its events and recordings stay. → False if there is none."""

        def work(session: Session) -> bool:
            session.execute(delete(ZonesRow).where(ZonesRow.stream_id == stream_id))
            return _changed_rows(session, delete(StreamRow).where(StreamRow.id == stream_id)) > 0

        return await self._database.write(work)

    async def get_stream(self, stream_id: str, visible: Visible) -> StreamRecord | None:
        statement = select(StreamRow).where(StreamRow.id == stream_id, seen(visible, StreamRow.id))

        def work(session: Session) -> StreamRecord | None:
            row = session.scalar(statement)
            return None if row is None else self._to_stream(row)

        return await self._database.read(work)

    async def all_streams(self, visible: Visible) -> tuple[StreamRecord, ...]:
        """Oldest first."""
        statement = select(StreamRow).where(seen(visible, StreamRow.id)).order_by(StreamRow.created_at, StreamRow.id)
        return await self._database.read(lambda s: tuple(self._to_stream(row) for row in s.scalars(statement)))

    async def stream_ids(self) -> frozenset[str]:
        return await self._database.read(lambda session: frozenset(session.scalars(select(StreamRow.id))))

    async def list_streams(
        self, wanted: StreamFilter, visible: Visible, cursor: Cursor | None, limit: int
    ) -> Page[StreamRecord]:
        """Oldest first, so that a page does not change when a stream is added."""
        statement = select(StreamRow).where(seen(visible, StreamRow.id))
        if cursor is not None:
            same = (StreamRow.created_at == cursor.time) & (StreamRow.id > cursor.id)
            statement = statement.where(or_(StreamRow.created_at > cursor.time, same))
        ordered = statement.order_by(StreamRow.created_at, StreamRow.id).limit(limit + 1)

        def work(session: Session) -> list[StreamRecord]:
            chosen = ordered if wanted.group is None else ordered.where(in_group(session, wanted.group))
            return [self._to_stream(row) for row in session.scalars(chosen)]

        rows = await self._database.read(work)
        return page_of(rows, limit, [Cursor(row.created_at, row.id) for row in rows])

    async def last_track_id(self, stream_id: str) -> int:
        """→ the highest track id that has an event in this stream, 0 without any."""
        statement = select(func.max(EventRow.track_id)).where(EventRow.stream_id == stream_id)
        return await self._database.read(lambda session: session.scalar(statement) or 0)

    def _stream_values(self, record: StreamRecord) -> dict[str, Any]:
        options = {name: getattr(record, name) for name in _OPTIONS}
        options["actions"] = None if record.actions is None else dict(record.actions)
        options["finished_at"] = record.finished_at
        options |= {"tier": record.tier, "snapshot_s": record.snapshot_s}
        options |= {"tls_verify": record.tls_verify, "groups": list(record.groups)}
        options |= {"record_overlay": record.record_overlay, "record_since": record.record_since}
        options |= {"exercise": record.exercise, "form": record.form}
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
            tls_verify=row.options.get("tls_verify", True),
            record_overlay=row.options.get("record_overlay", False),
            record_since=row.options.get("record_since", 0.0),
            groups=tuple(row.options.get("groups", ())),
            exercise=row.options.get("exercise"),
            form=row.options.get("form"),
        )

    # -- messages and events

    async def append(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Keeps messages that have a ``seq``, follows their events, prunes the log. All or nothing."""
        await self.append_with(messages, lambda session: None)

    async def append_with(self, messages: Sequence[Mapping[str, Any]], also: Callable[[Session], None]) -> None:
        """As ``append``; ``also`` belongs to the same transaction."""

        def work(session: Session) -> None:
            message_log.append(session, messages, self._messages_keep, self._audit_share)
            also(session)

        await self._database.write(work)

    async def last_seq(self) -> int:
        return await self._database.read(message_log.last_seq)

    async def left_running(self) -> tuple[str, ...]:
        """→ streams whose end is not in the log: those that ran when the service was killed."""
        return await self._database.read(message_log.left_running)

    async def oldest_seq(self) -> int | None:
        """→ the first message that can still be replayed; None when the log is empty."""
        return await self._database.read(message_log.oldest_seq)

    async def replay(
        self, after_until: tuple[int, int], limit: int, visible: Visible, streams: Sequence[str] = ()
    ) -> tuple[dict[str, Any], ...]:
        """→ messages with after < seq ≤ until in order, at most ``limit``, of ``streams`` (none: of all)."""
        return await self._database.read(
            lambda session: message_log.replay(session, after_until, limit, visible, streams)
        )

    async def open_events(self) -> tuple[EventRecord, ...]:
        """Actions that have not ended: after a crash, those that nobody will end any more."""
        statement = select(EventRow).where(EventRow.ended_at.is_(None)).order_by(EventRow.last_seq)
        return await self._database.read(lambda s: tuple(message_log.to_event(row) for row in s.scalars(statement)))

    # -- recordings

    async def add_recording(self, segment: Segment, by_time: bool = False) -> RecordingRecord:
        """Indexes a finished file under the recordings folder. A path that is known already is no error.

        ``by_time``: one of the past, which takes its place among the others; else it is the newest.
        """
        record = self._to_recording(segment)

        def work(session: Session) -> RecordingRecord:
            known = session.scalar(select(RecordingRow).where(RecordingRow.path == record.path))
            if known is not None:
                return _recording(known)
            values = {name: getattr(record, name) for name in RecordingRecord.__slots__}
            session.add(RecordingRow(**values, came=_came(session, record.started_at if by_time else None)))
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
            overlay=segment.overlay,
        )

    def _relative(self, path: Path) -> str:
        """Raises ValueError for a file outside the recordings folder."""
        return (self._recordings_dir / path).resolve().relative_to(self._recordings_dir).as_posix()

    async def get_recording(self, recording_id: str, visible: Visible) -> RecordingRecord | None:
        may_be_seen = seen(visible, RecordingRow.stream_id, RecordingRow.started_at)
        statement = select(RecordingRow).where(RecordingRow.id == recording_id, may_be_seen)

        def work(session: Session) -> RecordingRecord | None:
            row = session.scalar(statement)
            return None if row is None else _recording(row)

        return await self._database.read(work)

    async def doom_recording(self, recording_id: str) -> None:
        """What of it is in the bucket is to go: a deletion that is broken off is ended by the next start."""
        await self._database.write(lambda session: doom(session, recording_id))

    async def doomed_recordings(self) -> frozenset[str]:
        """→ ids of those whose deletion was begun and not ended."""
        return await self._database.read(doomed_recordings)

    async def delete_recording(self, recording_id: str) -> bool:
        """Forgets the row only; ``reconcile.Recordings`` deletes the file too, in the right order."""

        def work(session: Session) -> bool:
            gone = _changed_rows(session, delete(RecordingRow).where(RecordingRow.id == recording_id)) > 0
            doom(session, recording_id)  # last: also what somebody has written down while this waited
            return gone

        return await self._database.write(work)

    async def all_recordings(self) -> tuple[RecordingRecord, ...]:
        """In the order in which they were indexed, whatever the clock said."""
        statement = select(RecordingRow).order_by(RecordingRow.came, RecordingRow.started_at, RecordingRow.id)
        return await self._database.read(lambda s: tuple(_recording(row) for row in s.scalars(statement)))

    async def needed_recordings(self) -> tuple[Needed, ...]:
        """→ what incidents show, from their pre-roll to their post-roll."""
        return await self._database.read(needed_spans)

    async def recorded_for_incidents(self) -> dict[str, float]:
        """→ streams of which only what incidents show is to stay → since when (Unix time)."""
        rows = select(StreamRow.id, StreamRow.options)

        def work(session: Session) -> dict[str, float]:
            found = session.execute(rows)
            only = ((row.id, row.options) for row in found if row.options.get("record") == "incidents")
            return {stream_id: options.get("record_since", 0.0) for stream_id, options in only}

        return await self._database.read(work)

    async def recording_paths(self, stream_id: str) -> frozenset[str]:
        """→ the paths of one stream's recordings, relative to the recordings folder."""
        statement = select(RecordingRow.path).where(RecordingRow.stream_id == stream_id)
        return await self._database.read(lambda session: frozenset(session.scalars(statement)))

    async def list_recordings(
        self, wanted: RecordingFilter, visible: Visible, cursor: Cursor | None, limit: int
    ) -> Page[RecordingRecord]:
        """Newest start first. One that begins before its stream may be seen is left out whole."""
        statement = newest_first(select(RecordingRow), RecordingRow.started_at, RecordingRow.id, cursor, limit)
        statement = statement.where(seen(visible, RecordingRow.stream_id, RecordingRow.started_at))
        if wanted.streams:
            statement = statement.where(RecordingRow.stream_id.in_(wanted.streams))
        if wanted.since is not None:
            statement = statement.where(RecordingRow.ended_at > wanted.since)
        if wanted.until is not None:
            statement = statement.where(RecordingRow.started_at < wanted.until)
        rows = await self._database.read(lambda s: [_recording(row) for row in s.scalars(statement)])
        return page_of(rows, limit, [Cursor(row.started_at, row.id) for row in rows])


def _came(session: Session, started_at: float | None) -> int:
    """→ the place in the order in which recordings are deleted: the first one's that began later, else the last."""
    if started_at is not None:
        later = session.scalar(select(func.min(RecordingRow.came)).where(RecordingRow.started_at > started_at))
        if later is not None:
            return later  # of two in one place the earlier is the first
    return (session.scalar(select(func.max(RecordingRow.came))) or 0) + 1  # one thread writes


def _changed_rows(session: Session, statement: Any) -> int:
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined] # only CursorResult has it


def _recording(row: RecordingRow) -> RecordingRecord:
    return RecordingRecord(**{name: getattr(row, name) for name in RecordingRecord.__slots__})
