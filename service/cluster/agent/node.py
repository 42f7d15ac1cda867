"""One node: its agent with all that it needs, made of the settings of its machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import psutil

from service.cluster.agent.agent import NodeAgent, NodeSupervisor
from service.cluster.agent.agent_desk import AgentDesk
from service.cluster.agent.deadlines import Clock, Deadlines, boot_time
from service.cluster.agent.discards import Discards
from service.cluster.agent.lenders import Lenders, gpu_count
from service.cluster.agent.node_bucket import open_node_bucket
from service.cluster.agent.node_files import NodeFiles
from service.cluster.agent.node_leases import NodeLeases
from service.cluster.agent.outlet import NodeOutlet
from service.cluster.agent.spool import Spool
from service.cluster.links.addresses import cluster_database, impatient
from service.ids import new_id, service_version
from service.recording.retention import buffered_s
from service.settings import Settings
from service.storage.cluster.leases import RENEW_S
from service.storage.cluster.nodes import NodeFacts
from service.storage.cluster.objects import NodeObjects
from service.storage.database import Database
from service.supervisor_protocol import Memory, Outlet
from service.versions.pointer import Pointers

log = logging.getLogger(__name__)

STREAMS_A_CORE = 2
LEAVE_S = 6.0  # for streams to end and their last words to arrive

NodeSupervisorFactory = Callable[[Settings, Outlet, Memory], NodeSupervisor]


class Node:
    """``desk.answer`` is what links lead to."""

    def __init__(
        self, settings: Settings, factory: NodeSupervisorFactory, clock: Clock = boot_time, renew_s: float = RENEW_S
    ) -> None:
        self._settings = settings
        self.name = settings.node_name
        self.incarnation = new_id("inc")
        self._version = service_version()
        self._database = Database(impatient(cluster_database(settings)))
        self.spool = Spool(settings.data_dir / "cluster" / "spool.db")
        deadlines = Deadlines(clock)
        self.outlet = NodeOutlet(self.spool, deadlines, settings.recordings_dir)
        supervisor = factory(settings, self.outlet, self.outlet)
        self.leases = NodeLeases(self._database, deadlines, self._facts, lambda one: self.outlet.next_track(one, 1))
        self.agent = NodeAgent(supervisor, self.outlet, self.leases, renew_s)
        self.files = NodeFiles(settings.recordings_dir, self.spool.told, self.outlet.add_recording)
        self._sending = Database(impatient(cluster_database(settings)))  # leases wait for nothing that is done there
        objects = NodeObjects(self._sending, self.name)
        self.bucket = open_node_bucket(settings, objects, buffered_s(settings.segment_s))
        self._discards = Discards(objects, self.files, self.bucket, self._forget)
        sent = dict if self.bucket is None else self.bucket.measures
        self.desk = AgentDesk(self.agent, self.spool, self.files, Pointers.of(settings), self.incarnation, sent)
        self._lenders = Lenders(self._database, self.name, supervisor.use_lenders)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Loads networks, tells of recordings that a former process left, and waits for orders."""
        self._stack.callback(self.spool.close)
        self._stack.push_async_callback(self._database.close)
        self._stack.push_async_callback(self._sending.close)
        supervisor = self.agent.supervisor
        supervisor.models.on_tally = self.outlet.tally
        supervisor.models.on_shadow_failed = lambda alias, why: self.outlet.model_trouble("shadow_failed", alias, why)
        supervisor.models.on_broken = lambda version, why: self.outlet.model_trouble("broken", version, why)
        self.outlet.on_gone = self._repair
        await self.files.repair_all()
        self._stack.push_async_callback(self.agent.close)
        await self.agent.open()
        self._stack.callback(self.desk.close)
        self._begin_sending()
        if self._settings.cluster_borrow != "never":
            self._stack.callback(self._behind(self._lenders.follow(), "lenders").cancel)

    async def leave(self) -> None:
        """Before it is closed: its streams go to other nodes."""
        await self.agent.leave(LEAVE_S)

    async def close(self) -> None:
        await self._stack.aclose()

    @property
    def database(self) -> Database:
        return self._database

    def _begin_sending(self) -> None:
        if self.bucket is not None:
            self._stack.push_async_callback(self.bucket.close)
            self.bucket.on_left(self._forget)
            self.bucket.begin()
        self._stack.callback(self._behind(self._discards.follow(), "discards").cancel)

    def _forget(self, path: str) -> None:
        """A recording's copy is gone: only of its video it is written down that it was told of."""
        self.spool.forget_told([path])

    def _repair(self, stream_id: str) -> None:
        self._behind(self.files.repair(stream_id), "repair of recordings")

    def _behind(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _facts(self) -> NodeFacts:
        cores = len(psutil.Process().cpu_affinity()) or 1
        return NodeFacts(
            name=self.name,
            incarnation=self.incarnation,
            version=self._version,
            site=self._settings.cluster_site,
            address=self._settings.cluster_host,
            cores=cores,
            gpus=gpu_count(),
            capacity=0 if self.agent.leaving else self._settings.cluster_capacity or STREAMS_A_CORE * cores,
            load=psutil.cpu_percent() / 100,
            ready=self.agent.supervisor.ready,
            lends="" if self.agent.leaving else self.agent.supervisor.lends_at,
            store="" if self.bucket is None else self.bucket.standing.place,
            store_problem="" if self.bucket is None else self.bucket.standing.problem,
        )
