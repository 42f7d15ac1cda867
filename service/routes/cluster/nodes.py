"""/v1/nodes: the machines that run streams."""

from __future__ import annotations

import time

from fastapi import APIRouter

from service.cluster.cluster_bucket import trouble_of
from service.cluster.view import ClusterNow, ClusterView
from service.errors import problems
from service.errors_base import Conflict, not_found
from service.rights import Principal, needs
from service.routes.cluster.bodies import LeaderBody, NodeBody, NodeBucketBody, Nodes
from service.routes.context import Context, Here, Who
from service.storage.cluster.nodes import Node
from service.storage.objects import Waiting
from service.wire_messages import rfc3339

router = APIRouter(prefix="/v1/nodes", tags=["cluster"])


@router.get("")
@needs("nodes:read")
async def list_nodes(here: Here, who: Who) -> Nodes:
    """All nodes, those that are silent too, and who leads. A service of one machine has none."""
    if here.cluster is None:
        return Nodes(leader=None, leads=True, items=[])
    return await told(here.cluster, here.leads, who)


async def told(cluster: ClusterView, leads: bool, who: Principal) -> Nodes:
    """→ the cluster as whoever asks may see it."""
    now = await cluster.now()
    led = now.leader
    leader = None if led is None else LeaderBody(name=led.name, url=led.url, epoch=led.epoch, silent_s=led.silent_s)
    items = [to_node(node, now, cluster, who) for node in now.nodes.values()]
    return Nodes(leader=leader, leads=leads, items=items)


@router.post("/{node_id}/drain", status_code=202, responses=problems(403, 404, 409))
@needs("nodes:write")
async def drain(node_id: str, here: Here, who: Who) -> NodeBody:
    """The node gets no further stream, and lets go of those that it has, a few at a time, as others take them."""
    return await _drain(here, who, node_id, True)


@router.post("/{node_id}/undrain", status_code=202, responses=problems(403, 404, 409))
@needs("nodes:write")
async def undrain(node_id: str, here: Here, who: Who) -> NodeBody:
    """The node takes streams again. What was moved away stays where it is."""
    return await _drain(here, who, node_id, False)


@router.delete("/{node_id}", status_code=204, responses=problems(403, 404, 409))
@needs("nodes:write")
async def forget(node_id: str, here: Here) -> None:
    """Forgets a node that is gone for good; those of its recordings that are in no bucket are lost with it. One that
    lives is refused.
    """
    cluster = _cluster(here)
    node = (await cluster.now()).nodes.get(node_id)
    if node is not None and node.alive:
        raise Conflict(f"node {node_id} is alive: stop `actoscope node` there first")
    await cluster.drain(node_id, True)  # 404 where there is none
    await cluster.forget(node_id)


async def _drain(here: Context, who: Principal, node_id: str, draining: bool) -> NodeBody:
    cluster = _cluster(here)
    await cluster.drain(node_id, draining)
    now = await cluster.now()
    if node_id not in now.nodes:  # somebody has forgotten it since
        raise not_found("node", node_id)
    return to_node(now.nodes[node_id], now, cluster, who)


def _cluster(here: Context) -> ClusterView:
    if here.cluster is None:
        raise Conflict("this service is one machine: there are no nodes (docs/cluster.md)")
    return here.cluster


def to_node(node: Node, now: ClusterNow, cluster: ClusterView, who: Principal) -> NodeBody:
    held, facts = now.held(node.name), node.facts
    return NodeBody(
        id=node.name,
        site=facts.site,
        address=facts.address,
        version=facts.version,
        cores=facts.cores,
        gpus=facts.gpus,
        lends=bool(facts.lends),
        capacity=facts.capacity,
        load=round(facts.load, 3),
        alive=node.alive,
        ready=node.alive and facts.ready,
        draining=node.draining,
        seen_at=rfc3339(node.seen_at),
        started_at=rfc3339(node.started_at),
        streams=[stream_id for stream_id in held if who.visible.sees(stream_id)],
        leases=len(held),
        problem=cluster.problem(node.name),
        bucket=_bucket(node, now),
    )


def _bucket(node: Node, now: ClusterNow) -> NodeBucketBody | None:
    if not (now.place or node.facts.store):
        return None
    waiting = now.waiting.get(node.name, Waiting())
    return NodeBucketBody(
        place=node.facts.store,
        waiting=waiting.files,
        waiting_bytes=waiting.bytes,
        oldest_s=0.0 if waiting.oldest is None else round(max(0.0, time.time() - waiting.oldest), 1),
        missing=waiting.missing,
        problem=trouble_of(node, now.place, waiting),
    )
