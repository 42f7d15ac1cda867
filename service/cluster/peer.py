"""One node as the leader deals with it: hears what it tells, without end, and sees that it has its orders."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from service.cluster.intake import Intake
from service.cluster.links.errors import CallFailed, LinkDown, OldLeader
from service.cluster.links.link import AgentLink, ask
from service.cluster.links.messages import Assignment, Done, NodeView, Orders, Reports, WantReports
from service.storage.database import StoreError

log = logging.getLogger(__name__)

RETRY_S = 0.5
WAIT_S = 1.0
SILENT_S = 10.0  # a node that could not be reached for so long gets no further stream


class Peer:
    """``orders``: what the node is to run now; asked for whenever it may have changed."""

    def __init__(self, node: str, link: AgentLink, intake: Intake, leader: int, orders: Callable[[], Orders]) -> None:
        self.node = node
        self.link = link
        self.intake = intake
        self._leader = leader
        self._orders = orders
        self._told: tuple[str, tuple[Any, ...]] | None = None  # incarnation, and what it was ordered last
        self._incarnation = ""
        self._bell = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.view: NodeView | None = None
        self.heard_s: float | None = None  # monotonic
        self._opened_s = time.monotonic()
        self.problem = ""

    def open(self) -> None:
        self._tasks = [
            asyncio.create_task(self._hear_forever(), name=f"reports of {self.node}"),
            asyncio.create_task(self._order_forever(), name=f"orders to {self.node}"),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def linked(self) -> bool:
        """Whether it was heard of late; who has just begun to listen gives it time."""
        return time.monotonic() - (self._opened_s if self.heard_s is None else self.heard_s) < SILENT_S

    def ring(self) -> None:
        """Its orders may have changed."""
        self._bell.set()

    async def _hear_forever(self) -> None:
        while True:
            try:
                await self._hear()
            except (LinkDown, CallFailed, OldLeader) as error:
                self._say(str(error))
                await asyncio.sleep(RETRY_S)
            except StoreError as error:
                log.error("what node %s tells waits: %s", self.node, error)
                await asyncio.sleep(RETRY_S)
            except Exception:  # the task's outermost frame
                log.exception("what node %s tells is not understood", self.node)
                await asyncio.sleep(RETRY_S)

    async def _hear(self) -> None:
        live = self.intake.watched
        want = WantReports(self._leader, self.intake.spool, self.intake.after, self.intake.acked, WAIT_S, live)
        reports = await ask(self.link, "reports", want, Reports, WAIT_S)
        self._say("")
        self.heard_s = time.monotonic()
        if reports.incarnation != self._incarnation:  # its process is a new one, which knows of no orders
            self._incarnation = reports.incarnation
            self.ring()
        if reports.view is not None:
            self.view = reports.view
        await self.intake.take(reports)

    async def _order_forever(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            try:
                await self._order()
            except (LinkDown, CallFailed, OldLeader) as error:
                log.warning("node %s has no new orders yet: %s", self.node, error)
                await asyncio.sleep(RETRY_S)
                self._bell.set()
            except Exception:  # the task's outermost frame: a node without orders would do nothing for ever
                log.exception("node %s has no new orders yet", self.node)
                await asyncio.sleep(RETRY_S)
                self._bell.set()

    async def _order(self) -> None:
        orders, incarnation = self._orders(), self._incarnation
        about = (incarnation, tuple(sorted(map(_about, orders.assignments), key=lambda one: str(one[0]))))
        if not incarnation or about == self._told:
            return
        await ask(self.link, "apply", orders, Done)
        self._told = about

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            if problem:
                log.warning("node %s cannot be reached: %s", self.node, problem)
            else:
                log.info("node %s can be reached again", self.node)


def _about(assignment: Assignment) -> tuple[Any, ...]:
    """What of it makes it another one: not the number of the next person."""
    return assignment.record.id, assignment.epoch, assignment.record, assignment.zones
