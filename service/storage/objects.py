"""What of recordings and incidents is in the bucket, waits for it, or is to go. May raise StoreError (the database's).

States: ``waiting`` → ``stored`` ⇄ ``missing`` (it was there and is not); ``deleting`` from any of them, at the end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from service.ids import new_id
from service.storage.alert_tables import IncidentRow
from service.storage.database import Database
from service.storage.tables import BucketRow, ObjectRow, RecordingRow, StreamRow

LOCAL, S3 = "local", "s3"  # places of recordings
WAITING, STORED, MISSING, DELETING = "waiting", "stored", "missing", "deleting"
LONGEST_WAIT_S = 900.0  # from one attempt to the next; a time further away was meant by another clock
RECORDINGS, INCIDENTS = "recordings", "incidents"  # folders of the data folder, and prefixes in the bucket


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """One row. Unix times; ``path`` relative to the data folder, ``here`` and ``node``: of the local copy."""

    key: str
    path: str
    owner: str
    state: str
    bytes: int
    mtime: float
    sha256: str = ""
    tag: str = ""
    attempts: int = 0
    next_at: float = 0.0
    since: float = 0.0
    stored_at: float | None = None
    here: bool = True
    here_since: float = 0.0
    node: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much is to be done. ``oldest``: Unix time since when the file that waits longest does."""

    files: int = 0
    bytes: int = 0
    oldest: float | None = None
    deletions: int = 0
    missing: int = 0


Unknown = tuple[str, str]  # owner, path relative to the data folder


class ObjectStore:
    """Async face of the table, for whoever has the files of ``node``; empty: for the API, or the one machine."""

    node = ""
    without_file = "its file is gone"  # what is said of one that waits

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owner_id(self) -> str:
        """→ which Actoscope this is, made up when it is asked for first."""

        def work(session: Session) -> str:
            known = session.scalar(select(BucketRow.owner))
            if known is None:
                known = new_id("act")
                session.add(BucketRow(id=1, owner=known))
            return known

        return await self._database.write(work)

    async def unknown(self, limit: int, before: float) -> tuple[Unknown, ...]:
        """→ files that nobody has written down to be sent, the oldest first.

        Of streams that are recorded for incidents only what ended before Unix time ``before``.
        """
        return await self._database.read(lambda session: self._unknown(session, limit, before))

    def _unknown(self, session: Session, limit: int, before: float) -> tuple[Unknown, ...]:
        return (*recorded(session, self._unlisted(), limit, before), *_of_incidents(session, limit))

    def _unlisted(self) -> tuple[ColumnElement[bool], ...]:
        """→ which recordings have no rows yet, of those that are sent from here."""
        return RecordingRow.place == LOCAL, ~exists().where(ObjectRow.owner == RecordingRow.id)

    async def add(self, records: Sequence[ObjectRecord]) -> None:
        """Files that are to be sent. One whose owner was deleted meanwhile is left out, one that is known stays."""

        def work(session: Session) -> None:
            for record in records:
                if session.get(ObjectRow, record.key) is None and _is_owned(session, record.owner):
                    session.execute(insert(ObjectRow).values(_values(record)))
            self._listed(session, records)

        await self._database.write(work)

    def _listed(self, session: Session, records: Sequence[ObjectRecord]) -> None:
        """For whoever writes down elsewhere, too, that these are known."""

    async def next(self, state: str, now: float) -> ObjectRecord | None:
        """→ the one that waits longest of those that may be tried at Unix time ``now``."""
        due = or_(ObjectRow.next_at <= now, ObjectRow.next_at > now + LONGEST_WAIT_S)
        statement = select(ObjectRow).where(ObjectRow.state == state, due)
        # One whose owner is there is not deleted: a crash could leave a recording that has no file any more.
        statement = statement.where(~_owned() if state == DELETING else ObjectRow.node == self.node)
        return await self._one(statement.order_by(ObjectRow.next_at, ObjectRow.since, ObjectRow.key))

    async def get(self, key: str) -> ObjectRecord | None:
        return await self._one(select(ObjectRow).where(ObjectRow.key == key))

    async def of(self, owners: Collection[str]) -> tuple[ObjectRecord, ...]:
        """→ their files, videos before what lies beside them. SQLite takes 32,766 owners."""
        return await self._all(select(ObjectRow).where(ObjectRow.owner.in_(owners)).order_by(ObjectRow.key.desc()))

    async def known(self, keys: Collection[str]) -> dict[str, ObjectRecord]:
        return {record.key: record for record in await self._all(select(ObjectRow).where(ObjectRow.key.in_(keys)))}

    async def stored(self, record: ObjectRecord, sha256: str, tag: str, now: float) -> bool:
        """It is in the bucket, looked at. → False where it is to go meanwhile."""

        def work(session: Session) -> bool:
            values = {"state": STORED, "sha256": sha256, "tag": tag, "stored_at": now, "attempts": 0, "here_since": now}
            values |= {"bytes": record.bytes, "mtime": record.mtime}
            _hold(session, record.owner)
            changed = _changed(session, _of_state(record.key, WAITING, MISSING).values(**values))
            if changed:
                _move(session, record.owner)
            return changed

        return await self._database.write(work)

    async def put_off(self, record: ObjectRecord, next_at: float) -> None:
        statement = update(ObjectRow).where(ObjectRow.key == record.key)
        await self._run(statement.values(attempts=record.attempts + 1, next_at=next_at))

    async def forget(self, key: str) -> None:
        """The object is gone."""
        await self._run(delete(ObjectRow).where(ObjectRow.key == key, ObjectRow.state == DELETING))

    async def aged(self, before: float, limit: int) -> tuple[ObjectRecord, ...]:
        """→ those whose local copy is older than Unix time ``before``, the oldest first, and whose owner waits for
        nothing."""
        other = aliased(ObjectRow)
        waits = exists().where(other.owner == ObjectRow.owner, other.state.in_((WAITING, MISSING)))
        mine = ObjectRow.node == self.node
        old = and_(mine, ObjectRow.here, ObjectRow.here_since < before, ObjectRow.state == STORED)
        ordered = select(ObjectRow).where(old, ~waits).order_by(ObjectRow.here_since, ObjectRow.key)
        return await self._all(ordered.limit(limit))

    async def left(self, key: str) -> None:
        """There is no local copy any more."""
        await self._run(self._of_copy(key).values(here=False))

    async def fetched(self, key: str, now: float) -> None:
        """There is one again."""
        await self._run(self._of_copy(key).values(here=True, here_since=now))

    def _of_copy(self, key: str) -> Any:
        """Whose copy it is may have changed since it was looked at."""
        return update(ObjectRow).where(ObjectRow.key == key, ObjectRow.node == self.node)

    async def send_again(self, key: str, now: float) -> None:
        """What is in the bucket is not what was sent, and the file is still here."""
        values = {"state": WAITING, "since": now, "next_at": 0.0, "attempts": 0, "here": True}

        def work(session: Session) -> None:
            owner = session.scalar(select(ObjectRow.owner).where(ObjectRow.key == key))
            _hold(session, owner)
            session.execute(_of_state(key, STORED, MISSING).values(**values))
            session.execute(update(RecordingRow).where(RecordingRow.id == owner).values(place=LOCAL))

        await self._database.write(work)

    async def lost(self, key: str) -> None:
        """It was in the bucket, is not now, and there is no other copy."""
        await self._run(_of_state(key, STORED, WAITING).values(state=MISSING))

    async def found(self, key: str) -> None:
        """It is there again."""
        await self._run(_of_state(key, MISSING).values(state=STORED))

    async def retag(self, key: str, tag: str) -> None:
        """The same content, under a tag of its own."""
        await self._run(_of_state(key, STORED, MISSING).values(tag=tag))

    async def adopt(self, records: Sequence[ObjectRecord]) -> None:
        """What was in the bucket without a row, all of one owner."""

        def work(session: Session) -> None:
            for record in records:
                session.execute(delete(ObjectRow).where(ObjectRow.key == record.key))
                session.execute(insert(ObjectRow).values(_values(record)))
            for owner in {record.owner for record in records}:
                _move(session, owner)

        await self._database.write(work)

    async def all_after(self, key: str, limit: int) -> tuple[ObjectRecord, ...]:
        """→ the next ones by key, of whatever state: choosing among them in the query would sort all of them."""
        return await self._all(select(ObjectRow).where(ObjectRow.key > key).order_by(ObjectRow.key).limit(limit))

    async def waiting(self) -> Waiting:
        """→ what is to be done in all, whoever does it."""
        return await self._database.read(counted)

    async def is_doomed(self, path: str) -> bool:
        """Whether the recording at ``path`` was deleted, and what is in the bucket of it comes from before."""
        return False

    async def can_send(self, record: ObjectRecord) -> bool:
        """Whether another machine has a copy that it can send."""
        return False

    async def incident_ids(self) -> frozenset[str]:
        return await self._database.read(lambda session: frozenset(session.scalars(select(IncidentRow.id))))

    async def _one(self, statement: Any) -> ObjectRecord | None:
        return next(iter(await self._all(statement.limit(1))), None)

    async def _all(self, statement: Any) -> tuple[ObjectRecord, ...]:
        return await self._database.read(lambda session: tuple(map(to_record, session.scalars(statement))))

    async def _run(self, statement: Any) -> None:
        await self._database.write(lambda session: session.execute(statement))


def doom(session: Session, owner: str) -> None:
    """All objects of a recording or incident are to go."""
    values = {"state": DELETING, "next_at": 0.0, "attempts": 0}
    session.execute(update(ObjectRow).where(ObjectRow.owner == owner).values(**values))


def doomed_recordings(session: Session) -> frozenset[str]:
    """→ ids of recordings whose deletion was begun and not ended."""
    statement = select(RecordingRow.id).join(ObjectRow, ObjectRow.owner == RecordingRow.id)
    return frozenset(session.scalars(statement.where(ObjectRow.state == DELETING)))


def counted(session: Session, *conditions: ColumnElement[bool]) -> Waiting:
    """→ how much is to be done of the rows that ``conditions`` hold for."""
    row = ObjectRow
    sums = select(row.state, func.count(), func.sum(row.bytes), func.min(row.since))
    statement = sums.where(row.state.in_((WAITING, MISSING, DELETING)), *conditions).group_by(row.state)
    found = {each[0]: each for each in session.execute(statement)}
    _, files, size, oldest = found.get(WAITING, (WAITING, 0, 0, None))
    deletions, missing = (found[state][1] if state in found else 0 for state in (DELETING, MISSING))
    return Waiting(files, int(size), oldest, deletions, missing)


def only_in_bucket(session: Session) -> dict[str, int]:
    """→ bytes of incidents' files that have no local copy, by incident."""
    statement = select(ObjectRow.owner, func.sum(ObjectRow.bytes)).join(IncidentRow, IncidentRow.id == ObjectRow.owner)
    found = session.execute(statement.where(~ObjectRow.here).group_by(ObjectRow.owner))
    return {owner: int(size) for owner, size in found}


def recorded(session: Session, conditions: Sequence[ColumnElement[bool]], limit: int, before: float) -> list[Unknown]:
    """→ files of the oldest recordings that ``conditions`` hold for and that are settled, see ``unknown``."""
    row = RecordingRow
    streams = session.execute(select(StreamRow.id, StreamRow.options))
    for_incidents = [each.id for each in streams if each.options.get("record") == "incidents"]
    settled = or_(row.stream_id.not_in(for_incidents), row.ended_at < before)
    columns = select(row.id, row.path, row.events_path)
    statement = columns.where(settled, *conditions)
    found = session.execute(statement.order_by(row.came).limit(limit))
    return [(each[0], f"{RECORDINGS}/{path}") for each in found for path in each[1:] if path is not None]


def _of_incidents(session: Session, limit: int) -> list[Unknown]:
    row = IncidentRow
    found: list[Unknown] = []
    for column in (row.snapshot_path, row.clip_path):
        key = literal(f"{INCIDENTS}/") + column
        statement = select(row.id, key).where(column.is_not(None), ~exists().where(ObjectRow.key == key))
        found += [(each[0], each[1]) for each in session.execute(statement.limit(limit))]
    return found


def _is_owned(session: Session, owner: str) -> bool:
    """Whoever deletes the owner meanwhile waits, and finds the rows that are written now."""
    held = {"read": True, "key_share": True}
    return any(session.get(kind, owner, with_for_update=held) is not None for kind in (RecordingRow, IncidentRow))


def _hold(session: Session, owner: str | None) -> None:
    """A recording's row before those of its files, as whoever deletes it does: else each could wait for the other."""
    session.execute(select(RecordingRow.id).where(RecordingRow.id == owner).with_for_update())


def _owned() -> ColumnElement[bool]:
    recording = exists().where(RecordingRow.id == ObjectRow.owner)
    return or_(recording, exists().where(IncidentRow.id == ObjectRow.owner))


def _move(session: Session, owner: str) -> None:
    """The recording's row says where it lies once all of its files are there."""
    waits = exists().where(ObjectRow.owner == owner, ObjectRow.state != STORED)
    session.execute(update(RecordingRow).where(RecordingRow.id == owner, ~waits).values(place=S3))


def _of_state(key: str, *states: str) -> Any:
    return update(ObjectRow).where(ObjectRow.key == key, ObjectRow.state.in_(states))


def _changed(session: Session, statement: Any) -> bool:
    return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined] # CursorResult's


def _values(record: ObjectRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ObjectRecord.__slots__}


def to_record(row: ObjectRow) -> ObjectRecord:
    return ObjectRecord(**{name: getattr(row, name) for name in ObjectRecord.__slots__})
