"""What a node answers when the leader asks, whatever carries the question."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from models.errors import ModelsError
from service.cluster.agent.agent import NodeAgent
from service.cluster.agent.node_files import NodeFiles
from service.cluster.agent.pictures import Taps
from service.cluster.agent.spool import Spool
from service.cluster.links.errors import OldLeader
from service.cluster.links.link import done, failed
from service.cluster.links.messages import (
    Discard,
    Done,
    Measure,
    NodeView,
    NotUnderstood,
    Orders,
    PictureAnswer,
    Piece,
    Reports,
    StreamCall,
    UseVersion,
    WantPicture,
    WantPiece,
    WantReports,
    unpack,
)
from service.errors_base import ServiceError, Unavailable
from service.subscription import rung
from service.supervisor_protocol import SnapshotUnavailable
from service.versions.pointer import Pointers

log = logging.getLogger(__name__)

MAX_ROWS = 512  # in one answer
VIEW_S = 1.0
GATHER_S = 0.05  # between answers of nothing but ``tracks``, of which a subscriber hears ten a second of each stream
MAX_WAIT_S = 10.0


class AgentDesk:
    """``answer`` is the node's end of an ``AgentLink``. ``sent``: what is counted of the bucket."""

    def __init__(
        self,
        agent: NodeAgent,
        spool: Spool,
        files: NodeFiles,
        pointers: Pointers,
        incarnation: str,
        sent: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._agent = agent
        self._spool = spool
        self._files = files
        self._pointers = pointers
        self._incarnation = incarnation
        self._sent = sent
        self._taps = Taps(agent.supervisor)
        self._bell = asyncio.Event()
        agent.outlet.on_new = self._bell.set
        self._viewed_s = self._answered_s = 0.0
        self._loading: asyncio.Task[None] | None = None
        self._methods: dict[str, tuple[type[Any], Callable[[Any], Awaitable[object]]]] = {
            "apply": (Orders, self._apply),
            "reports": (WantReports, self._reports),
            "stream": (StreamCall, self._stream),
            "picture": (WantPicture, self._picture),
            "piece": (WantPiece, self._piece),
            "discard": (Discard, self._discard),
            "version": (UseVersion, self._version),
        }

    def close(self) -> None:
        self._taps.close()

    async def answer(self, method: str, body: bytes) -> bytes:
        """→ an ``Answer``, packed. Raises nothing but cancellation."""
        if method not in self._methods:
            return failed("failed", f"expected one of {', '.join(self._methods)}, got {method[:40]}")
        kind, work = self._methods[method]
        try:
            return done(await work(unpack(body, kind)))
        except OldLeader as error:
            return failed("old_leader", error)
        except SnapshotUnavailable as error:
            return failed("snapshot", error)
        except (NotUnderstood, ServiceError, ModelsError, OSError, ValueError) as error:
            return failed("failed", error)
        except Exception as error:  # the call's outermost frame
            log.exception("the leader asked for %s", method)
            return failed("failed", f"{type(error).__name__}: the node's log says more")

    async def _apply(self, orders: Orders) -> Done:
        self._agent.obey(orders.leader)
        for alias, content in orders.pointers.items():
            await asyncio.to_thread(self._pointers.take_over, alias, content)
        self._agent.apply(orders)
        return Done()

    async def _reports(self, want: WantReports) -> Reports:
        """Waits until there is something, or it is time to say how the node does."""
        self._agent.obey(want.leader)
        after = 0
        if want.spool == self._spool.id:
            after = want.after
            self._spool.acknowledge(want.acked)
            self._agent.acknowledged(want.acked)
        deadline_s = time.monotonic() + min(want.wait_s, MAX_WAIT_S)
        self._bell.clear()
        while (left_s := self._left_s(after, want.live, deadline_s)) > 0:
            await rung(self._bell, left_s)
            self._bell.clear()
        self._agent.check()  # nothing leaves under a lease that is over, however long this process was stopped
        rows, view = tuple(self._rows(after)), self._view()
        seen = self._agent.outlet.take_seen() if want.live or view is not None else ()
        upto = rows[-1].n if len(rows) == MAX_ROWS else self._spool.last
        self._answered_s = time.monotonic()
        return Reports(self._spool.id, self._incarnation, upto, rows, seen, view)

    def _left_s(self, after: int, live: bool, deadline_s: float) -> float:
        """→ how long the answer may wait yet: not at all with rows, a little for more ``tracks`` to go along."""
        if self._spool.last > after:
            return 0.0
        due_s = min(deadline_s, self._viewed_s + VIEW_S)
        if live and self._agent.outlet.waits:
            due_s = min(due_s, self._answered_s + GATHER_S)
        return due_s - time.monotonic()

    def _rows(self, after: int) -> list[Any]:
        return self._spool.after(after, MAX_ROWS) if self._spool.last > after else []

    def _view(self) -> NodeView | None:
        if time.monotonic() - self._viewed_s < VIEW_S:
            return None
        self._viewed_s = time.monotonic()
        supervisor = self._agent.supervisor
        measures = [Measure(prefix, labels, snapshot) for prefix, labels, snapshot, _ in supervisor.measured()]
        own = self._agent.outlet.measures()
        own["counters"] |= {**self._agent.moves, "lease_failures_total": self._agent.leases.failed}
        sent = self._sent()
        own = {kind: {**values, **sent.get(kind, {})} for kind, values in own.items()}
        return NodeView(
            {stream_id: supervisor.status(stream_id) for stream_id in self._agent.running},
            supervisor.ready,
            supervisor.inference_status(),
            (*measures, Measure("node_", {}, own)),
            supervisor.budget(),
        )

    async def _stream(self, call: StreamCall) -> Done:
        self._agent.obey(call.leader)
        if call.what != "restart":
            raise ValueError(f"expected restart, got {call.what}")
        if call.stream_id in self._agent.running:
            await self._agent.supervisor.restart(call.stream_id)
        return Done()

    async def _picture(self, want: WantPicture) -> PictureAnswer:
        self._agent.check()
        if want.stream_id not in self._agent.running:
            raise SnapshotUnavailable("the stream does not run on this node")
        return await self._taps.next(want)

    async def _piece(self, want: WantPiece) -> Piece:
        return await asyncio.to_thread(self._files.read, want.path, want.offset, want.size)

    async def _discard(self, wanted: Discard) -> Done:
        self._agent.obey(wanted.leader)
        await asyncio.to_thread(self._files.discard, wanted.path)
        self._spool.forget_told([wanted.path])
        return Done()

    async def _version(self, use: UseVersion) -> Done:
        self._agent.obey(use.leader)
        models = self._agent.supervisor.models
        if use.version is not None:
            await self._loaded(models.load(use.alias, use.version))
            return Done()
        if self._loading is not None:  # what is to serve now waits for no load
            self._loading.cancel()
            await models.make_way()
        await asyncio.to_thread(self._pointers.take_over, use.alias, use.pointer)
        return Done(await models.follow(use.alias))

    async def _loaded(self, load: Coroutine[Any, Any, None]) -> None:
        """Raises Unavailable where another order made it give way."""
        task = self._loading = asyncio.create_task(load, name="load of a version")
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()  # without effect on one that is done
            self._loading = None if self._loading is task else self._loading
        if task.cancelled():
            raise Unavailable("the load was given up for another order")
        task.result()
