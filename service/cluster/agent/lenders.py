"""Which nodes classify clips of others: whether this one does, and which others do, as the database knows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from service.cluster.links.ports import Ports
from service.cluster.links.ray_setup import own_address
from service.cluster.links.token import read_token
from service.processes.nodes import Borrow, Lender, LendingSetup
from service.settings import Settings
from service.storage.cluster.nodes import Node, read_nodes
from service.storage.database import Database, StoreError

log = logging.getLogger(__name__)

LOOK_S = 2.0
SELDOM_S = 8.0  # where nobody lends: a node that begins to is borrowed from so much later at most
GPUS = Path("/proc/driver/nvidia/gpus")


def gpu_count() -> int:
    return len(list(GPUS.glob("*"))) if GPUS.is_dir() else 0


def lending_setup(settings: Settings, token: Path) -> LendingSetup:
    """``token``: the cluster's file."""
    lends = settings.cluster_classify == "always" or (settings.cluster_classify == "auto" and gpu_count() > 0)
    return LendingSetup(
        token=read_token(token),
        name=settings.node_name,
        host=(settings.cluster_host or own_address()) if lends else "",
        port=Ports(settings.cluster_ports).loans,
        borrow=Borrow(settings.cluster_borrow),
    )


class Lenders:
    """``tell`` hears of the other nodes that lend, whenever they are others than before."""

    def __init__(self, database: Database, name: str, tell: Callable[[tuple[Lender, ...]], None]) -> None:
        self._database = database
        self._name = name
        self._tell = tell
        self._told: tuple[Lender, ...] = ()

    async def follow(self) -> None:
        """Without end. While the database is away, those that were known last are."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.debug("who lends is not known now: %s", error)
            except Exception:  # the task's outermost frame
                log.exception("who lends cannot be told")
            await asyncio.sleep(LOOK_S if self._told else SELDOM_S)

    async def look(self) -> None:
        """Raises StoreError."""
        nodes = await self._database.read(read_nodes)
        lenders = tuple(Lender(node.name, node.facts.lends) for node in nodes.values() if self._lends(node))
        if lenders != self._told:
            log.info("nodes that classify clips of others: %s", ", ".join(one.name for one in lenders) or "none")
            self._tell(lenders)
            self._told = lenders

    def _lends(self, node: Node) -> bool:
        """One that is drained is to be free of work."""
        return bool(node.facts.lends) and node.alive and not node.draining and node.name != self._name
