"""What of a cluster's recordings is in the bucket: as the API that leads works with it, and as a node does.

Each node sends the files that it has and looks after its copies; the API sends incidents' files and what it recorded
before it led a cluster, deletes objects, and alone holds the bucket against the rows. May raise StoreError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from service.storage.cluster.nodes import Node, read_nodes
from service.storage.cluster.tables import DOOMED, LISTED, LOOSE, NEW, SENDING, NodeRow, RecordingNodeRow
from service.storage.database import Database
from service.storage.objects import (
    DELETING,
    MISSING,
    RECORDINGS,
    STORED,
    WAITING,
    ObjectRecord,
    ObjectStore,
    Unknown,
    Waiting,
    counted,
    doom,
    recorded,
)
from service.storage.tables import BucketRow, ObjectRow, RecordingRow

GOING = (DOOMED, SENDING, LOOSE)


class ClusterObjects(ObjectStore):
    """What both have in common."""

    async def place(self) -> str:
        """→ the bucket that the whole cluster sends to, empty while nobody has said it."""
        return await self._database.read(read_place)

    async def owner(self) -> str:
        """→ which Actoscope the cluster is, empty while nobody has asked for that."""
        return await self._database.read(lambda session: session.scalar(select(BucketRow.owner)) or "")

    async def missing_here(self, limit: int, after: str = "") -> tuple[ObjectRecord, ...]:
        """→ what is in no bucket, not any more or not at all, and is sent from here: the next ones by key."""
        mine = ObjectRow.node == self.node, ObjectRow.state == MISSING, ObjectRow.key > after
        return await self._all(select(ObjectRow).where(*mine).order_by(ObjectRow.key).limit(limit))


class LeaderObjects(ClusterObjects):
    """As the API that leads works with it; one that stands by only reads."""

    without_file = "its file is not here; an API that led before may have it, and sends it when it leads again"

    def _unlisted(self) -> tuple[ColumnElement[bool], ...]:
        return *super()._unlisted(), ~exists().where(RecordingNodeRow.path == RecordingRow.path)

    async def of_nodes(self) -> tuple[dict[str, Node], dict[str, Waiting]]:
        """→ all nodes, and what is to be done by each."""
        return await self._database.read(nodes_waiting)

    async def say_place(self, place: str) -> None:
        """Every node sends there from now on."""
        await self._run(update(BucketRow).values(place=place))

    async def any_stored(self) -> bool:
        first = select(ObjectRow.key).where(ObjectRow.state == STORED).limit(1)
        return await self._database.read(lambda session: session.scalar(first) is not None)

    async def is_doomed(self, path: str) -> bool:
        state = select(RecordingNodeRow.state).where(RecordingNodeRow.path == path.removeprefix(f"{RECORDINGS}/"))
        return await self._database.read(lambda session: session.scalar(state) in GOING)

    async def can_send(self, record: ObjectRecord) -> bool:
        if not record.node or not record.here:
            return False
        return await self._database.read(lambda session: session.get(NodeRow, record.node) is not None)


class NodeObjects(ClusterObjects):
    """As a node works with it: what it has itself."""

    def __init__(self, database: Database, node: str) -> None:
        super().__init__(database)
        self.node = node

    async def owner_id(self) -> str:
        """→ of the cluster, which the API that leads makes up; empty before."""
        return await self.owner()

    def _unknown(self, session: Session, limit: int, before: float) -> tuple[Unknown, ...]:
        return tuple(recorded(session, self._unlisted(), limit, before))

    def _unlisted(self) -> tuple[ColumnElement[bool], ...]:
        row = RecordingNodeRow
        new = row.node == self.node, row.state == NEW
        return (RecordingRow.path.in_(select(row.path).where(*new)),)

    def _listed(self, session: Session, records: Sequence[ObjectRecord]) -> None:
        """Also of what the API took in from the bucket, where the node has a copy after all."""
        if not records:
            return
        paths = [record.path.removeprefix(f"{RECORDINGS}/") for record in records]
        row = RecordingNodeRow
        new = update(row).where(row.path.in_(paths), row.node == self.node, row.state == NEW)
        session.execute(new.values(state=LISTED))
        taken_in = update(ObjectRow).where(ObjectRow.key.in_([record.key for record in records]), ObjectRow.node == "")
        session.execute(taken_in.values(node=self.node, here=True, here_since=records[0].here_since))

    async def next(self, state: str, now: float) -> ObjectRecord | None:
        """The API alone deletes."""
        return None if state == DELETING else await super().next(state, now)

    async def waiting(self) -> Waiting:
        return await self._database.read(lambda session: counted(session, ObjectRow.node == self.node))

    # -- what is to go here

    async def doomed(self, limit: int, after: str = "") -> tuple[str, ...]:
        """→ recordings that were deleted and have their copy here, relative to the folder of recordings: the next ones
        by path.
        """
        return await self._going((DOOMED, SENDING), limit, after)

    async def loose(self, limit: int) -> tuple[str, ...]:
        """→ those whose copy is gone, and that may have come to the bucket after they were deleted there."""
        return await self._going((LOOSE,), limit, "")

    async def _going(self, states: Sequence[str], limit: int, after: str) -> tuple[str, ...]:
        row = RecordingNodeRow
        going = row.node == self.node, row.state.in_(states), row.path > after
        statement = select(row.path).where(*going).order_by(row.path).limit(limit)
        return await self._database.read(lambda session: tuple(session.scalars(statement)))

    async def copy_gone(self, path: str) -> None:
        row = RecordingNodeRow

        def work(session: Session) -> None:
            session.execute(delete(row).where(row.path == path, row.node == self.node, row.state == DOOMED))
            sending = update(row).where(row.path == path, row.node == self.node, row.state == SENDING)
            session.execute(sending.values(state=LOOSE))

        await self._database.write(work)

    async def all_gone(self, path: str) -> None:
        row = RecordingNodeRow
        await self._run(delete(row).where(row.path == path, row.node == self.node, row.state == LOOSE))


def read_place(session: Session) -> str:
    return session.scalar(select(BucketRow.place)) or ""


def nodes_waiting(session: Session) -> tuple[dict[str, Node], dict[str, Waiting]]:
    """→ all nodes, and what is to be done by each that has something to do."""
    known = read_nodes(session)
    rows = session.scalars(select(ObjectRow.node).where(ObjectRow.state.in_((WAITING, MISSING))).distinct())
    waiting = {node: counted(session, ObjectRow.node == node) for node in rows}
    has_bucket = read_place(session) != ""
    for name, node in known.items():
        if not node.alive or (has_bucket and not node.facts.store):
            waiting[name] = _with_unlisted(session, name, waiting.get(name, Waiting()))
    return known, waiting


def _with_unlisted(session: Session, name: str, waiting: Waiting) -> Waiting:
    """→ also what a node has not written down: it is away, or has no bucket."""
    row = RecordingRow
    sums = select(func.count(row.path) + func.count(row.events_path), func.sum(row.bytes), func.min(row.ended_at))
    new = RecordingNodeRow.node == name, RecordingNodeRow.state == NEW
    files, size, oldest = session.execute(
        sums.join(RecordingNodeRow, RecordingNodeRow.path == row.path).where(*new)
    ).one()
    first = min((at for at in (oldest, waiting.oldest) if at is not None), default=None)
    return replace(waiting, files=waiting.files + files, bytes=waiting.bytes + int(size or 0), oldest=first)


def doom_at_node(session: Session, recording_id: str, path: str) -> None:
    """Deletes a recording that a node made. Its objects go, and its copy, as soon as the node knows of it; what is on
    its way to the bucket now is deleted once more when it has arrived.
    """
    session.execute(delete(RecordingRow).where(RecordingRow.id == recording_id))
    sent = ObjectRow.state.in_((WAITING, MISSING))  # the latter: also by a node that was forgotten meanwhile
    waits = exists().where(ObjectRow.owner == recording_id, sent)
    state = SENDING if session.scalar(select(waits)) else DOOMED
    doom(session, recording_id)
    session.execute(update(RecordingNodeRow).where(RecordingNodeRow.path == path).values(state=state))
