"""/v1/sinks: where messages go."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from service.bodies import Items
from service.errors import problems
from service.errors_base import not_found
from service.rights import needs
from service.routes.context import Here, root_path
from service.sinks.bodies import (
    Rotate,
    Sink,
    SinkCreate,
    SinkPatch,
    SinkWithSecret,
    TestResult,
    to_sink,
    to_sink_with_secret,
    to_test_result,
)

router = APIRouter(prefix="/v1/sinks", tags=["sinks"])

_ID = re.compile(r"snk_[0-9a-f]{16}")


def sink_id(sink_id: Annotated[str, Path(description="id of a sink", examples=["snk_0123456789abcdef"])]) -> str:
    """Raises NotFound for a text that cannot be an id."""
    if not _ID.fullmatch(sink_id):
        raise not_found("sink", sink_id)
    return sink_id


SinkId = Annotated[str, Depends(sink_id)]


@router.post("", status_code=201, responses=problems(409, 422))
@needs("sinks:write")
async def add_sink(body: SinkCreate, here: Here, request: Request, response: Response) -> SinkWithSecret:
    """Adds a webhook, a broker or a mail server. A webhook's ``secret`` is shown in this answer only."""
    record, secret = await here.sinks.add(body)
    response.headers["Location"] = f"{root_path(request)}/v1/sinks/{record.id}"
    return to_sink_with_secret(record, secret)


@router.get("")
@needs("sinks:read")
async def list_sinks(here: Here) -> Items[Sink]:
    """All sinks, oldest first; there are never more than a page holds."""
    return Items(items=[to_sink(record) for record in await here.sinks.all()], next_cursor=None)


@router.get("/{sink_id}", responses=problems(404))
@needs("sinks:read")
async def get_sink(sink_id: SinkId, here: Here) -> Sink:
    return to_sink(await here.sinks.get(sink_id))


@router.patch("/{sink_id}", responses=problems(404, 422))
@needs("sinks:write")
async def change_sink(sink_id: SinkId, body: SinkPatch, here: Here) -> Sink:
    """Changes what is given. ``enabled: true`` also starts a sink again that failed for days."""
    return to_sink(await here.sinks.change(sink_id, body))


@router.delete("/{sink_id}", status_code=204, responses=problems(404))
@needs("sinks:write")
async def delete_sink(sink_id: SinkId, here: Here) -> None:
    """Messages that wait for it are given up."""
    await here.sinks.remove(sink_id)


@router.post("/{sink_id}/test", responses=problems(404, 409))
@needs("sinks:write")
async def test_sink(sink_id: SinkId, here: Here) -> TestResult:
    """Sends ``test.ping`` now, once, also by a sink that is disabled, and says what became of it within 30 s."""
    tried = await here.sinks.test(sink_id)
    return to_test_result(tried.delivery_id, tried.outcome, tried.ms)


@router.post("/{sink_id}/rotate-secret", responses=problems(404, 409, 422))
@needs("sinks:write")
async def rotate_secret(
    sink_id: SinkId, here: Here, body: Annotated[Rotate, Body(default_factory=Rotate)]
) -> SinkWithSecret:
    """A new ``secret``, shown in this answer only. The old one signs too for ``overlap_s``."""
    record, secret = await here.sinks.rotate(sink_id, body)
    return to_sink_with_secret(record, secret)
