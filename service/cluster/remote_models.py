"""Versions of models on all nodes: loaded and followed there, and remembered for the API that leads next.

Implements ``supervisor_protocol.Models``. The networks' folders have to be on every node.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from service.cluster.links.errors import CallFailed, LinkDown
from service.cluster.links.link import AgentLink, ask
from service.cluster.links.messages import Done, UseVersion
from service.errors_base import Unavailable
from service.storage.cluster import nodes
from service.storage.database import Database
from service.supervisor_protocol import OnTally
from service.versions.pointer import Pointers
from service.versions.tally import ShadowTally

log = logging.getLogger(__name__)

LOAD_S = 120.0
FOLLOW_S = 30.0


class RemoteModels:
    """``links``: to the nodes that can be reached now, by name."""

    def __init__(
        self, pointers: Pointers, database: Database, leader: int, links: Callable[[], Mapping[str, AgentLink]]
    ) -> None:
        self._pointers = pointers
        self._database = database
        self._leader = leader
        self._links = links
        self.on_tally: OnTally = _nobody
        self.on_shadow_failed: Callable[[str, str], None] = lambda alias, reason: None
        self.on_broken: Callable[[str, str], None] = lambda version, reason: None

    async def open(self) -> None:
        """What served under the leader before serves. Raises StoreError."""
        for alias, content in (await self._database.read(nodes.read_pointers)).items():
            await asyncio.to_thread(self._pointers.take_over, alias, content)

    def texts(self) -> dict[str, str]:
        """→ alias → its pointer, for nodes."""
        return {alias: self._pointers.text(alias) for alias in self._pointers.aliases()}

    async def load(self, alias: str, version: str) -> None:
        """On every node that can be reached; one that cannot do it keeps all from it. Raises Unavailable."""
        use = UseVersion(self._leader, alias, self._pointers.text(alias), version)
        problems = [each for each in await self._tell(use, LOAD_S) if isinstance(each, str)]
        if problems:
            raise Unavailable("; ".join(problems), retry_after_s=60)

    async def make_way(self) -> None:
        """Nothing is waited for: a node gives up what it loads once it is told what serves."""

    async def follow(self, alias: str) -> float:
        """→ how long the slowest node took. One that cannot be reached now reads it with its next orders."""
        text = self._pointers.text(alias)
        await self._database.write(lambda session: nodes.put_pointer(session, alias, text))
        answers = await self._tell(UseVersion(self._leader, alias, text), FOLLOW_S)
        for problem in (each for each in answers if isinstance(each, str)):
            log.error("%s: %s", alias, problem)
        return max((each for each in answers if isinstance(each, float)), default=0.0)

    async def _tell(self, use: UseVersion, wait_s: float) -> list[float | str]:
        async def tell(node: str, link: AgentLink) -> float | str:
            try:
                return (await ask(link, "version", use, Done, wait_s)).seconds
            except (LinkDown, CallFailed) as error:
                return f"node {node}: {error}"

        return list(await asyncio.gather(*(tell(node, link) for node, link in self._links().items())))

    # -- what nodes tell

    async def tallied(self, stream_id: str, body: Mapping[str, Any]) -> None:
        await self.on_tally(stream_id, msgspec.convert(body, ShadowTally))

    async def shadow_failed(self, _: str, body: Mapping[str, Any]) -> None:
        self.on_shadow_failed(body["name"], body["reason"])

    async def broken(self, _: str, body: Mapping[str, Any]) -> None:
        self.on_broken(body["name"], body["reason"])


async def _nobody(stream_id: str, tally: ShadowTally) -> None:
    """Who hears of trials until somebody is there."""
