"""Runs streams on many nodes: ``supervisor_protocol.Supervisor`` for the API that leads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.entities import Zone
from service.budget.plan import BudgetView
from service.cluster import together
from service.cluster.board import Board, Moved, working
from service.cluster.intake import Intake, Listeners, OnRow
from service.cluster.links.errors import CallFailed, LinkDown
from service.cluster.links.link import AgentLink, Links, ask
from service.cluster.links.messages import Done, Orders, StreamCall
from service.cluster.peer import Peer
from service.cluster.remote_models import RemoteModels
from service.cluster.remote_pictures import RemotePictures
from service.cluster.strict_hub import StrictHub
from service.prometheus import CounterKeeper, Measured, exposition
from service.rights import ALL
from service.settings import Settings
from service.storage.cluster import nodes
from service.storage.database import Database, StoreError
from service.storage.records import StreamRecord
from service.storage.store import Store
from service.stream_state import StreamState
from service.subscription import rung
from service.supervisor_protocol import LivePicture, SnapshotUnavailable, StreamStatus
from service.versions.pointer import Pointers
from service.wire_messages import parse_rfc3339, to_stream_message

log = logging.getLogger(__name__)

ROUND_S = 1.0
PAUSE_S = 0.25  # between rounds: many streams that come at once are placed together
TIDY_S = 60.0
STOP_S = 4.5


@dataclass(frozen=True, slots=True)
class Reign:
    """What an API leads with: its epoch, a database whose writes are fenced by it, and the ways to nodes."""

    epoch: int
    database: Database
    links: Links
    recorded: OnRow  # hears of a recording: the node first


class ClusterSupervisor:
    """All methods run on the API's event loop."""

    def __init__(self, settings: Settings, hub: StrictHub, store: Store, reign: Reign) -> None:
        self._hub = hub
        self._store = store
        self._reign = reign
        self.board = Board(reign.database, self._is_linked)
        self.peers: dict[str, Peer] = {}
        self.models = RemoteModels(Pointers.of(settings), reign.database, reign.epoch, self._links)
        self._pictures = RemotePictures(self._link_of)
        self._states: dict[str, StreamStatus] = {}
        self._keepers: dict[tuple[str, ...], CounterKeeper] = {}
        self._bell = asyncio.Event()
        self._let_go = asyncio.Condition()
        self._tidied_s = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Goes on with what nodes run. Raises StoreError."""
        await self.models.open()
        for record in await self._store.all_streams(ALL):
            if record.enabled and record.finished_at is None and record.url.get_secret_value():
                self.board.want(record, await self._store.zones.of(record.id))
        await self.board.look()
        await self._end_what_nobody_runs()
        self._task = asyncio.create_task(self._rounds(), name="placement")

    async def _end_what_nobody_runs(self) -> None:
        for stream_id in self._hub.open_streams():
            if self.board.node_of(stream_id) is None:
                await self._hub.end_open_events(stream_id)

    async def close(self) -> None:
        """Nodes go on; whoever leads next hears of it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for peer in self.peers.values():
            await peer.close()

    # -- streams

    async def start(self, stream: StreamRecord) -> None:
        again = stream.id in self.board.over and self.board.node_of(stream.id) is not None
        if self.board.desired.get(stream.id) == working(stream) and not again:
            return
        self.board.want(stream, await self._store.zones.of(stream.id))
        self._states.pop(stream.id, None)
        if again:
            await self.restart(stream.id)
        self._bell.set()

    async def stop(self, stream_id: str) -> None:
        """A node that does not let go of it in time loses its lease, and stops it then."""
        self.board.forget(stream_id)
        self._states.pop(stream_id, None)
        self._bell.set()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._gone(stream_id), STOP_S)

    async def _gone(self, stream_id: str) -> None:
        async with self._let_go:
            await self._let_go.wait_for(lambda: self.board.node_of(stream_id) is None)

    async def restart(self, stream_id: str) -> None:
        link = self._link_of(stream_id)
        if link is None:
            self._bell.set()
            return
        self.board.over.discard(stream_id)
        try:
            await ask(link, "stream", StreamCall(self._reign.epoch, stream_id, "restart"), Done)
        except CallFailed as error:
            raise LinkDown(f"the node of the stream did not start it anew: {error}") from error

    async def update(self, stream: StreamRecord) -> None:
        """The same node goes on with it, in a new process."""
        self.board.want(stream, await self._store.zones.of(stream.id))
        self._bell.set()

    async def set_zones(self, stream_id: str, zones: tuple[Zone, ...]) -> None:
        if stream_id in self.board.desired:
            self.board.zones[stream_id] = zones
            self._bell.set()

    def ring(self) -> None:
        """Something may have to go elsewhere."""
        self._bell.set()

    # -- rounds

    async def _rounds(self) -> None:
        while True:
            try:
                await self._round()
            except StoreError as error:
                log.error("streams stay where they are: %s", error)
            except Exception:  # the task's outermost frame
                log.exception("streams stay where they are")
            await asyncio.sleep(PAUSE_S)
            await rung(self._bell, ROUND_S)
            self._bell.clear()

    async def _round(self) -> None:
        await self.board.look()
        for name in self.board.nodes.keys() - self.peers.keys():
            await self._meet(name)
        for name in self.peers.keys() - self.board.nodes.keys():
            await self.peers.pop(name).close()
        for moved in await self.board.decide():
            await self._tell(moved)
        for peer in self.peers.values():
            peer.ring()
        async with self._let_go:
            self._let_go.notify_all()
        if time.monotonic() - self._tidied_s > TIDY_S:
            self._tidied_s = time.monotonic()
            await self.board.tidy()

    async def _meet(self, name: str) -> None:
        taken = await self._reign.database.read(lambda session: nodes.read_taken(session, name))

        async def recorded(_: str, body: Mapping[str, Any]) -> None:
            await self._reign.recorded(name, body)

        models = self.models
        others = {"tally": models.tallied, "shadow_failed": models.shadow_failed, "broken": models.broken}
        listeners = Listeners({**others, "recording": recorded}, self._on_stream, lambda stream_id: self._bell.set())
        intake = Intake(name, self.board, self._hub, listeners, taken)
        peer = Peer(name, self._reign.links.to(name), intake, self._reign.epoch, lambda: self._orders(name))
        self.peers[name] = peer
        peer.open()

    def _orders(self, node: str) -> Orders:
        return Orders(self._reign.epoch, self.board.assignments(node), self.models.texts())

    async def _tell(self, moved: Moved) -> None:
        """What went on where a stream was is over there."""
        await self._hub.end_open_events(moved.stream_id)
        if moved.before is None:
            return
        why = f"node {moved.before} has it no more" if moved.before else "nobody had it"
        message = to_stream_message(moved.stream_id, "connecting", "moved", f"{why}: it goes on at {moved.node}")
        self._on_stream(message)
        await self._hub.publish_stream(message)

    def _on_stream(self, message: Mapping[str, Any]) -> None:
        stream_id, state = message["stream_id"], StreamState(message["state"])
        if (state, message["code"]) == (StreamState.STOPPED, "ended"):
            self.board.over.add(stream_id)
        elif state is not StreamState.STOPPED:
            self.board.over.discard(stream_id)
        at = parse_rfc3339(message["at"])
        self._states[stream_id] = StreamStatus(state, message["code"], message["reason"], since=at)

    # -- nodes

    def _is_linked(self, node: str) -> bool:
        return node in self.peers and self.peers[node].linked

    def _links(self) -> dict[str, AgentLink]:
        """Of nodes that are alive. One that is forgotten has its peer for a moment yet."""
        known = ((peer.link, self.board.nodes.get(name)) for name, peer in self.peers.items() if peer.linked)
        return {node.name: link for link, node in known if node is not None and node.alive}

    def _link_of(self, stream_id: str) -> AgentLink | None:
        node = self.board.node_of(stream_id)
        return None if node is None or node not in self.peers else self.peers[node].link

    # -- views

    def status(self, stream_id: str) -> StreamStatus:
        told = self._states.get(stream_id)
        if stream_id not in self.board.desired:
            return StreamStatus(StreamState.STOPPED, code=None, reason="not running", since=time.time())
        node = self.board.node_of(stream_id)
        if node is None and stream_id not in self.board.over:
            reason = self.board.unplaced.get(stream_id, "it is given to a node")
            return StreamStatus(StreamState.CONNECTING, "unplaced", reason, time.time() if told is None else told.since)
        view = self.peers[node].view if node in self.peers else None
        seen = None if view is None else view.statuses.get(stream_id)
        if seen is None:
            return told or StreamStatus(StreamState.CONNECTING, None, f"starting on node {node}", time.time())
        if told is None or told.state is seen.state:
            return seen
        return replace(seen, state=told.state, code=told.code, reason=told.reason, since=told.since)

    async def snapshot(self, stream_id: str, timeout_s: float, overlay: bool = True) -> bytes:
        if self._link_of(stream_id) is None:
            raise SnapshotUnavailable(f"no node runs the stream: {self.status(stream_id).reason}")
        return await self._pictures.snapshot(stream_id, timeout_s, overlay)

    def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        return self._pictures.watch(stream_id)

    def live(self, stream_id: str, full: bool) -> AsyncIterator[LivePicture]:
        return self._pictures.live(stream_id, full)

    @property
    def ready(self) -> bool:
        """Whether a node could give labels."""
        return any(node.alive and node.facts.ready for node in self.board.nodes.values())

    def inference_status(self) -> dict[str, Any]:
        views = {name: peer.view for name, peer in self.peers.items() if peer.view is not None}
        parts = together.parts({name: view.inference.get("parts", {}) for name, view in views.items()})
        restarts = sum(view.inference.get("restarts", 0) for view in views.values())
        return {"reason": self._why_not_ready(), "parts": parts, "restarts": restarts}

    def _why_not_ready(self) -> str:
        if self.ready:
            return "ready"
        living = [node for node in self.board.nodes.values() if node.alive]
        if not living:
            return "no node has joined: start `actoscope node` on a machine"
        told = (
            f"{node.name}: {view.inference.get('reason', '')}"
            for node in living
            if (view := self.peers[node.name].view if node.name in self.peers else None) is not None
        )
        return "; ".join(told) or "nodes load their networks"

    def inference_measures(self) -> Mapping[str, Any]:
        """Each node has its own: they are in /metrics by node."""
        return {}

    def budget(self) -> BudgetView | None:
        """Of all nodes that are heard of."""
        views = ((name, peer.view) for name, peer in self.peers.items() if peer.linked)
        return together.budget(
            {name: view.budget for name, view in views if view is not None and view.budget is not None}
        )

    def metrics_text(self) -> bytes:
        return exposition([*self._measured(), ("", {}, self._hub.measures(), self._keeper("hub"))])

    def _measured(self) -> Iterator[Measured]:
        for name, peer in self.peers.items():
            for each in peer.view.measures if peer.view is not None else ():
                labels = {**each.labels, "node": name}
                yield each.prefix, labels, each.snapshot, self._keeper(name, each.prefix, *each.labels.values())
            refused = {
                "counters": {"refused_total": peer.intake.refused, "lost_total": peer.intake.lost},
                "gauges": self._gauges(name),
            }
            yield "node_", {"node": name}, refused, self._keeper(name, "leader")
        granted = {"counters": self.board.counters, "gauges": {"leader_epoch": self._reign.epoch}}
        yield "cluster_", {}, granted, self._keeper("cluster")

    def _gauges(self, name: str) -> dict[str, float]:
        node = self.board.nodes.get(name)
        leases = sum(lease.node == name and lease.counts for lease in self.board.leases.values())
        if node is None:
            return {"leases": leases}
        return {"leases": leases, "alive": float(node.alive), "load": node.facts.load, "draining": float(node.draining)}

    def _keeper(self, *key: str) -> CounterKeeper:
        return self._keepers.setdefault(key, CounterKeeper())
