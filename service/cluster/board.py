"""What the leader knows: which streams are to run, who has them, which nodes there are. And what follows from it.

The database is the truth; this is the leader's copy, which nobody else changes but for the time that leases have left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from pipeline.entities import Zone
from service.cluster.links.messages import Assignment
from service.cluster.placement import Plan, Seat, Wanted, place
from service.storage.cluster import leases, nodes
from service.storage.cluster.leases import Grant, Lease, Placement
from service.storage.cluster.nodes import Node
from service.storage.database import Database
from service.storage.records import StreamRecord

log = logging.getLogger(__name__)

# People who were seen on a node that is gone, after what was heard of it last: their numbers are not used again.
SPARE_TRACKS = 64
LET_GO_S = 10.0  # a node that was told to let go of a stream, and does not, loses its lease


@dataclass(frozen=True, slots=True)
class Moved:
    """A stream that a node gets. ``before``: who had it, None: nobody yet."""

    stream_id: str
    before: str | None
    node: str


class Board:
    """On the API's event loop. ``linked``: whether a node can be reached."""

    def __init__(self, database: Database, linked: Callable[[str], bool]) -> None:
        self._database = database
        self._linked = linked
        self.desired: dict[str, StreamRecord] = {}
        self.zones: dict[str, tuple[Zone, ...]] = {}
        self.over: set[str] = set()  # files that came to their end: they are not played again elsewhere
        self.leases: dict[str, Lease] = {}
        self.nodes: dict[str, Node] = {}
        self.placements: Mapping[str, Placement] = {}
        self.unplaced: Mapping[str, str] = {}
        self._leaving: dict[str, tuple[int, float]] = {}  # stream → epoch, and since when (monotonic)
        self._given_up: list[tuple[str, int]] = []
        self._next_track: dict[str, int] = {}
        self._of: dict[str, list[str]] = {}  # node → its streams, as of the last round
        self._former: dict[str, str] = {}  # stream → the node that let go of it last
        self.counters = dict.fromkeys(COUNTERS, 0)

    # -- what is heard

    def want(self, record: StreamRecord, zones: tuple[Zone, ...]) -> None:
        self.desired[record.id] = working(record)
        self.zones[record.id] = zones
        self.over.discard(record.id)

    def forget(self, stream_id: str) -> None:
        self.desired.pop(stream_id, None)
        self.zones.pop(stream_id, None)
        self.over.discard(stream_id)

    def has(self, stream_id: str, node: str, epoch: int) -> bool:
        """Whether what a node says of a stream under this epoch counts."""
        lease = self.leases.get(stream_id)
        return lease is not None and (lease.node, lease.epoch) == (node, epoch)

    def saw(self, stream_id: str, track_ids: Iterable[int]) -> None:
        for track_id in track_ids:
            if track_id >= self._next_track.get(stream_id, 1):
                self._next_track[stream_id] = track_id + 1

    def released(self, stream_id: str, epoch: int) -> None:
        """Its node has let go of it, and has said all. Without effect where the lease is no more of this epoch."""
        lease = self.leases.get(stream_id)
        if lease is None or lease.epoch != epoch:
            return
        self.leases[stream_id] = replace(lease, node=None)
        self._leaving.pop(stream_id, None)
        self._given_up.append((stream_id, epoch))
        self._former[stream_id] = lease.node or ""

    def node_of(self, stream_id: str) -> str | None:
        lease = self.leases.get(stream_id)
        return lease.node or None if lease is not None and lease.counts else None

    # -- a round

    async def look(self) -> None:
        """Reads nodes, leases and placements anew. Raises StoreError."""
        self.nodes, found, self.placements = await self._database.read(_all)
        given_up = set(self._given_up)
        self.leases = {
            stream_id: replace(lease, node=None) if (stream_id, lease.epoch) in given_up else lease
            for stream_id, lease in found.items()
        }

    async def decide(self) -> list[Moved]:
        """Gives streams to nodes, and says which have to let go → those that were given. Raises StoreError."""
        plan = place(self._wanted(), self._seats())
        self.unplaced = plan.unplaced
        now = time.monotonic()
        for stream_id in plan.move | (self.leases.keys() - self.desired.keys()):
            lease = self.leases[stream_id]
            if lease.counts and stream_id not in self._leaving:
                self._leaving[stream_id] = (lease.epoch, now)
        moved = await self._write(plan, self._stubborn(now))
        self._of = {}
        for lease in self.leases.values():
            if lease.node:
                self._of.setdefault(lease.node, []).append(lease.stream_id)
        return moved

    def _stubborn(self, now: float) -> list[tuple[str, int]]:
        late = [(stream_id, epoch) for stream_id, (epoch, since) in self._leaving.items() if now - since > LET_GO_S]
        return [(stream_id, epoch) for stream_id, epoch in late if self._still(stream_id, epoch)]

    def _still(self, stream_id: str, epoch: int) -> bool:
        lease = self.leases.get(stream_id)
        return lease is not None and lease.epoch == epoch and lease.counts

    async def _write(self, plan: Plan, stubborn: list[tuple[str, int]]) -> list[Moved]:
        given_up = list(self._given_up)
        wanted = [Grant(stream_id, node, self._epoch(stream_id)) for stream_id, node in plan.give.items()]
        if not (wanted or given_up or stubborn):
            return []

        def work(session: Session) -> tuple[dict[str, int], dict[str, int]]:
            leases.give_up(session, given_up)
            leases.revoke(session, stubborn)
            return leases.grant(session, wanted), leases.last_tracks(session, plan.give)

        epochs, tracks = await self._database.write(work)
        self._given_up = self._given_up[len(given_up) :]
        self._taken_from(stubborn)
        return [self._granted(each, epochs[each.stream_id], tracks) for each in wanted if each.stream_id in epochs]

    def _taken_from(self, stubborn: list[tuple[str, int]]) -> None:
        for stream_id, epoch in stubborn:
            self._leaving.pop(stream_id, None)
            self.leases[stream_id] = replace(self.leases[stream_id], node="", epoch=epoch + 1)
            self.counters["leases_revoked_total"] += 1

    def _granted(self, grant: Grant, epoch: int, tracks: Mapping[str, int]) -> Moved:
        stream_id = grant.stream_id
        before = self.leases.get(stream_id)
        known = max(tracks.get(stream_id, 0) + 1, 1 if before is None else before.next_track)
        spare = 0 if before is None else SPARE_TRACKS
        self._next_track[stream_id] = max(known, self._next_track.get(stream_id, 1)) + spare
        self._leaving.pop(stream_id, None)
        self.leases[stream_id] = Lease(stream_id, grant.node, epoch, leases.TTL_S, self._next_track[stream_id])
        self.counters["leases_granted_total"] += 1
        former = self._former.pop(stream_id, "")
        return Moved(stream_id, None if before is None else before.node or former, grant.node)

    async def tidy(self) -> None:
        """Takes away leases and placements of streams that are gone. Raises StoreError."""
        await self._database.write(_tidy)

    def _epoch(self, stream_id: str) -> int:
        lease = self.leases.get(stream_id)
        return 0 if lease is None else lease.epoch

    def _wanted(self) -> list[Wanted]:
        found = []
        for stream_id in self.desired:
            lease = self.leases.get(stream_id)
            node = lease.node if lease is not None and lease.counts else None
            if node is None and stream_id in self.over:
                continue
            placement = self.placements.get(stream_id, Placement())
            found.append(Wanted(stream_id, placement, node, stream_id in self._leaving))
        return found

    def _seats(self) -> dict[str, Seat]:
        return {
            node.name: Seat(
                node.name,
                node.facts.site,
                node.facts.capacity,
                node.facts.load,
                node.facts.ready,
                open=node.alive and not node.draining and self._linked(node.name),
                draining=node.draining,
            )
            for node in self.nodes.values()
        }

    # -- orders

    def assignments(self, node: str) -> tuple[Assignment, ...]:
        """→ what a node is to run, as of the last round."""
        known = (self.leases.get(stream_id) for stream_id in self._of.get(node, ()))
        mine = [lease for lease in known if lease is not None and lease.node == node and lease.counts]
        return tuple(
            Assignment(
                self.desired[lease.stream_id],
                lease.epoch,
                max(lease.next_track, self._next_track.get(lease.stream_id, 1)),
                self.zones.get(lease.stream_id, ()),
            )
            for lease in mine
            if lease.stream_id in self.desired and lease.stream_id not in self._leaving
        )


def working(record: StreamRecord) -> StreamRecord:
    """→ the stream as far as its process asks: what else changes must not start it anew."""
    return replace(
        record,
        name="",
        groups=(),
        record=bool(record.record),
        record_since=0.0,
        finished_at=None,
        created_at=0.0,
        enabled=True,
    )


def _all(session: Session) -> tuple[dict[str, Node], dict[str, Lease], Mapping[str, Placement]]:
    return nodes.read_nodes(session), leases.read_leases(session), leases.read_placements(session)


def _tidy(session: Session) -> None:
    leases.forget_leases(session)


COUNTERS = ("leases_granted_total", "leases_revoked_total")
