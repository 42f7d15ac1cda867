"""The leases of one node: put off every two seconds, together with what the node says of itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.cluster.agent.deadlines import Deadlines
from service.storage.cluster import leases, nodes
from service.storage.cluster.leases import Held
from service.storage.cluster.nodes import NodeFacts
from service.storage.database import Database, StoreError

log = logging.getLogger(__name__)

Pair = tuple[str, int]  # stream, epoch


@dataclass(frozen=True, slots=True)
class Renewal:
    """What one renewal found: ``lost`` are those that another node has by now. ``answered``: the database did."""

    answered: bool
    lost: frozenset[Pair] = frozenset()


class NodeLeases:
    """``held``: stream → the epoch that it is held under, and the number of the next person there."""

    def __init__(
        self,
        database: Database,
        deadlines: Deadlines,
        facts: Callable[[], NodeFacts],
        next_track: Callable[[str], int],
    ) -> None:
        self._database = database
        self.deadlines = deadlines
        self._facts = facts
        self._next_track = next_track
        self._held: dict[str, int] = {}
        self._turn = asyncio.Lock()
        self._problem = ""
        self.draining = False
        self.renewed = 0
        self.failed = 0

    @property
    def held(self) -> Mapping[str, int]:
        return self._held

    def hold(self, stream_id: str, epoch: int) -> None:
        """To be renewed from now on. It counts once a renewal has confirmed it."""
        if self._held.get(stream_id) != epoch:
            self.deadlines.end(stream_id)
        self._held[stream_id] = epoch

    def let_go(self, stream_id: str, epoch: int) -> None:
        if self._held.get(stream_id) == epoch:
            del self._held[stream_id]
            self.deadlines.end(stream_id)

    async def confirm(self, stream_id: str, epoch: int) -> bool:
        """Whether a lease counts, asking the database where that is not known yet; many ask once."""
        async with self._turn:
            if not self.deadlines.live(stream_id, epoch):
                await self._renew()
        return self.deadlines.live(stream_id, epoch)

    async def renew(self) -> Renewal:
        async with self._turn:
            return await self._renew()

    async def _renew(self) -> Renewal:
        sent = dict(self._held)
        told = [Held(stream_id, epoch, self._next_track(stream_id)) for stream_id, epoch in sent.items()]
        facts, sent_s = self._facts(), self.deadlines.clock()  # before it is sent: see deadlines
        try:
            self.draining, kept = await self._database.write(
                lambda session: (nodes.tell(session, facts), leases.renew(session, facts.name, told))
            )
        except StoreError as error:
            self.failed += 1
            self._say(str(error))
            return Renewal(False)
        self.renewed += len(kept)
        self._say("")
        self.deadlines.extend([pair for pair in kept if self._held.get(pair[0]) == pair[1]], sent_s)
        return Renewal(True, frozenset(sent.items()) - kept)

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            if problem:
                log.error("leases cannot be renewed, streams end where that lasts: %s", problem)
            else:
                log.info("leases are renewed again")
