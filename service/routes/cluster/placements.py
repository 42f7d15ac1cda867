"""/v1/streams/{id}/placement: on which nodes of a cluster a stream may run."""

from __future__ import annotations

from fastapi import APIRouter

from service.errors import problems
from service.errors_base import Conflict
from service.rights import needs
from service.routes.cluster.bodies import PlacementBody, PlacementPut
from service.routes.context import Context, Here
from service.routes.objects import FoundStream
from service.storage.cluster.leases import Placement

router = APIRouter(prefix="/v1/streams/{stream_id}/placement", tags=["cluster"])


@router.get("", responses=problems(404))
@needs("streams:read")
async def get_placement(stream: FoundStream, here: Here) -> PlacementBody:
    """Where the stream is wanted, and who has it. On one machine nowhere, and nobody."""
    return await _placement(here, stream.id)


@router.put("", responses=problems(403, 404, 409, 422))
@needs("streams:write")
async def put_placement(stream: FoundStream, body: PlacementPut, here: Here) -> PlacementBody:
    """It moves at once where it may not stay. It waits where no node is as it is wanted."""
    if here.cluster is None:
        raise Conflict("this service is one machine: there are no nodes (docs/cluster.md)")
    await here.cluster.place(stream.id, Placement(body.site, body.pin))
    return await _placement(here, stream.id)


async def _placement(here: Context, stream_id: str) -> PlacementBody:
    if here.cluster is None:
        return PlacementBody(site="", pin="", node=None, epoch=0)
    wanted, lease = await here.cluster.placement(stream_id)
    node = None if lease is None or not lease.counts else lease.node or None
    return PlacementBody(site=wanted.site, pin=wanted.pin, node=node, epoch=0 if lease is None else lease.epoch)
