"""What routes show of a cluster, whether this API leads it or stands by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from service.cluster.cluster_supervisor import ClusterSupervisor
from service.errors_base import Unavailable, not_found
from service.storage.cluster import leases, nodes
from service.storage.cluster.leader import Leader, read_leader
from service.storage.cluster.leases import Lease, Placement
from service.storage.cluster.nodes import Node
from service.storage.cluster.objects import nodes_waiting, read_place
from service.storage.database import Database
from service.storage.objects import Waiting


@dataclass(frozen=True, slots=True)
class ClusterNow:
    """``place``: the bucket that all nodes send recordings to; ``waiting``: what is to be sent, by node."""

    leader: Leader | None
    nodes: dict[str, Node]
    leases: dict[str, Lease]
    place: str
    waiting: dict[str, Waiting]

    def held(self, node: str) -> list[str]:
        """→ streams that a node has now."""
        return sorted(one.stream_id for one in self.leases.values() if one.node == node and one.counts)


@dataclass(frozen=True, slots=True)
class ClusterView:
    """``supervisor``: of the API that leads; ``refusal``: of one that stands by, why it changes nothing."""

    database: Database
    supervisor: ClusterSupervisor | None
    refusal: Callable[[], Unavailable] | None

    async def now(self) -> ClusterNow:
        """Raises StoreError."""
        return await self.database.read(_now)

    async def drain(self, node: str, draining: bool) -> None:
        """Raises NotFound, StoreError."""
        if not await self.database.write(lambda session: nodes.set_draining(session, node, draining)):
            raise not_found("node", node)
        self._ring()

    async def forget(self, node: str) -> None:
        """Raises StoreError."""
        await self.database.write(lambda session: nodes.forget_node(session, node))
        self._ring()

    async def placement(self, stream_id: str) -> tuple[Placement, Lease | None]:
        """→ where a stream is wanted, and who has it."""
        found = await self.database.read(lambda s: (leases.read_placements(s), leases.read_leases(s)))
        return found[0].get(stream_id, Placement()), found[1].get(stream_id)

    async def place(self, stream_id: str, wanted: Placement) -> None:
        """Raises StoreError."""
        await self.database.write(lambda session: leases.put_placement(session, stream_id, wanted))
        self._ring()

    def problem(self, node: str) -> str:
        """→ why a node cannot be reached by this API; empty where it can, or where that is not known."""
        peer = None if self.supervisor is None else self.supervisor.peers.get(node)
        return "" if peer is None else peer.problem

    def _ring(self) -> None:
        if self.supervisor is not None:
            self.supervisor.ring()


def _now(session: Session) -> ClusterNow:
    known, waiting = nodes_waiting(session)
    return ClusterNow(read_leader(session), known, leases.read_leases(session), read_place(session), waiting)
