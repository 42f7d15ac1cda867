"""A node's agent: runs what the leader orders, as long as it has the lease of it, with the supervisor of one machine.

Nothing here asks the leader for leave: the leases are in the database. An agent that is cut off from the leader goes
on and keeps what it has to tell; one that is cut off from the database stops its streams when their time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any, Protocol

from service.cluster.agent.node_leases import NodeLeases
from service.cluster.agent.outlet import NodeOutlet
from service.cluster.links.errors import OldLeader
from service.cluster.links.messages import Assignment, Orders
from service.processes.nodes import Lender
from service.prometheus import Measured
from service.storage.cluster.leases import RENEW_S
from service.supervisor_protocol import Supervisor

log = logging.getLogger(__name__)

LOOK_S = 0.25  # how often deadlines are looked at, besides before anything leaves


class NodeSupervisor(Supervisor, Protocol):
    @property
    def lends_at(self) -> str: ...

    def use_lenders(self, lenders: tuple[Lender, ...]) -> None: ...

    def measured(self) -> list[Measured]: ...


class NodeAgent:
    """All methods run on one event loop. ``renew_s``: how often leases are put off."""

    def __init__(
        self, supervisor: NodeSupervisor, outlet: NodeOutlet, leases: NodeLeases, renew_s: float = RENEW_S
    ) -> None:
        self.supervisor = supervisor
        self.outlet = outlet
        self.leases = leases
        self._deadlines = leases.deadlines
        self._renew_s = renew_s
        self._targets: dict[str, Assignment] = {}
        self._running: dict[str, Assignment] = {}
        self._leaving: dict[str, tuple[int, int]] = {}  # stream → epoch, and the row whose receipt is waited for
        self._lost: dict[str, int] = {}  # stream → an epoch under which it is another's
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._leader = 0
        self.leaving = False
        self.moves = {"streams_started_total": 0, "streams_released_total": 0, "streams_lost_total": 0}

    async def open(self) -> None:
        await self.supervisor.open()
        self._behind(self._renew_forever(), "leases")
        self._behind(self._watch_forever(), "deadlines")

    async def close(self) -> None:
        """Ends every stream; their leases run out by themselves."""
        for task in tuple(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.supervisor.close()

    @property
    def running(self) -> dict[str, Assignment]:
        return self._running

    async def leave(self, wait_s: float) -> None:
        """Lets go of everything in good order, so that others have it at once, not when its leases are over."""
        self.leaving = True
        await self.leases.renew()  # it takes nothing more, and says so
        self._want({})
        deadline_s = time.monotonic() + wait_s
        while (self._running or self._leaving) and time.monotonic() < deadline_s:
            await asyncio.sleep(LOOK_S)

    # -- orders

    def obey(self, leader: int) -> None:
        """Raises OldLeader for somebody whom another has followed."""
        if leader < self._leader:
            raise OldLeader(f"expected the leader of epoch {self._leader} or a later one, got {leader}")
        self._leader = leader

    def apply(self, orders: Orders) -> None:
        """From now on these streams and no others run here; started and stopped behind."""
        self.obey(orders.leader)
        self._want({} if self.leaving else {each.record.id: each for each in orders.assignments})

    def _want(self, wanted: dict[str, Assignment]) -> None:
        changed = {stream_id for stream_id in self._targets.keys() | wanted.keys() if self._differs(stream_id, wanted)}
        self._targets = wanted
        for stream_id in changed:
            self._behind(self._step(stream_id), f"stream {stream_id}")

    def _differs(self, stream_id: str, wanted: dict[str, Assignment]) -> bool:
        return wanted.get(stream_id) != self._targets.get(stream_id)

    def acknowledged(self, n: int) -> None:
        """The leader's log has all up to row ``n``: leases of what was let go of need not be held any longer."""
        for stream_id, (epoch, row) in tuple(self._leaving.items()):
            if row <= n:
                del self._leaving[stream_id]
                self.leases.let_go(stream_id, epoch)

    async def _step(self, stream_id: str) -> None:
        """Brings what runs in step with what is ordered."""
        try:
            async with self._locks.setdefault(stream_id, asyncio.Lock()):
                await self._in_step(stream_id)
        except Exception:  # the task's outermost frame
            log.exception("stream %s is not as it was ordered", stream_id)

    async def _in_step(self, stream_id: str) -> None:
        target, running = self._targets.get(stream_id), self._running.get(stream_id)
        if running is not None and (target is None or target.epoch != running.epoch):
            await self._let_go(running)
            running = None
        if target is None:
            return
        if running is None:
            await self._start(target)
        elif target.record != running.record:
            self._running[stream_id] = target
            self.outlet.set_zones(stream_id, target.zones)
            await self.supervisor.update(target.record)
        elif target.zones != running.zones:
            self._running[stream_id] = target
            self.outlet.set_zones(stream_id, target.zones)
            await self.supervisor.set_zones(stream_id, target.zones)

    async def _start(self, target: Assignment) -> None:
        stream_id = target.record.id
        if self._lost.get(stream_id) == target.epoch:
            return
        self._leaving.pop(stream_id, None)
        self.leases.hold(stream_id, target.epoch)
        if not await self.leases.confirm(stream_id, target.epoch):
            return  # tried again with the next renewal
        self._running[stream_id] = target
        self.moves["streams_started_total"] += 1
        self.outlet.begin(target)
        await self.supervisor.start(target.record)

    async def _let_go(self, running: Assignment) -> None:
        """In good order: what it has to say last is said under its lease, which is held until that has arrived."""
        stream_id, epoch = running.record.id, running.epoch
        self._running.pop(stream_id, None)
        await self.supervisor.stop(stream_id)
        row = self.outlet.release(stream_id)
        if row:
            self._leaving[stream_id] = (epoch, row)
            self.moves["streams_released_total"] += 1
        else:  # its time was over before it had stopped
            self.leases.let_go(stream_id, epoch)
        self.outlet.end(stream_id)

    # -- time

    def check(self) -> None:
        """Nothing leaves under a lease that is over: asked before anything does, also by who was stopped and wakes."""
        for stream_id, epoch in self._deadlines.overdue():
            self._lose(stream_id, epoch, "it could not be renewed")

    def _lose(self, stream_id: str, epoch: int, why: str) -> None:
        self.outlet.cut(stream_id, epoch)
        self._leaving.pop(stream_id, None)
        self.leases.let_go(stream_id, epoch)
        running = self._running.get(stream_id)
        if running is None or running.epoch != epoch:
            return
        self._running.pop(stream_id)
        self.moves["streams_lost_total"] += 1
        log.warning("stream %s ends here, its lease of epoch %d is over: %s", stream_id, epoch, why)
        self._behind(self._end(stream_id), f"end of {stream_id}")

    async def _end(self, stream_id: str) -> None:
        async with self._locks.setdefault(stream_id, asyncio.Lock()):
            if stream_id not in self._running:
                await self.supervisor.stop(stream_id)

    async def _renew_forever(self) -> None:
        while True:
            try:
                await self._renew()
            except Exception:  # the task's outermost frame
                log.exception("leases are not renewed")
            await asyncio.sleep(self._renew_s)

    async def _renew(self) -> None:
        found = await self.leases.renew()
        for stream_id, epoch in found.lost:
            self._lost[stream_id] = epoch
            self._lose(stream_id, epoch, "another node has it")
        self._lost = {stream_id: epoch for stream_id, epoch in self._lost.items() if stream_id in self._targets}
        if found.answered:
            for stream_id in self._targets.keys() - self._running.keys():
                self._behind(self._step(stream_id), f"stream {stream_id}")

    async def _watch_forever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.check()
            except Exception:  # the task's outermost frame: streams must not outlive their leases
                log.exception("leases that are over cannot be looked for")

    def _behind(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
