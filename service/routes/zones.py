"""/v1/streams/{id}/zones: named parts of a stream's picture."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Response

from service.bodies import Zones
from service.errors import problems
from service.errors_base import invalid
from service.rights import needs
from service.routes.context import Here
from service.routes.objects import FoundStream
from service.storage.zones import zones_tag

router = APIRouter(prefix="/v1/streams/{stream_id}/zones", tags=["zones"])

_TAGS = re.compile(r'\s*(W/)?"[\x21\x23-\x7e]*"\s*(,\s*(W/)?"[\x21\x23-\x7e]*"\s*)*', re.ASCII)  # RFC 9110, 13.1.1
IfMatch = Annotated[str | None, Header(max_length=1000, description="the `ETag` of the zones that are to be replaced")]


def expected_tags(if_match: str | None) -> frozenset[str] | None:
    """→ the tags of ``If-Match``, None where any will do; weak ones match nothing. Raises InvalidRequest."""
    if if_match is None or if_match.strip() == "*":
        return None
    if not _TAGS.fullmatch(if_match):
        raise invalid("if-match", 'an ETag such as "0123456789abcdef", or *', if_match)
    return frozenset(tag.strip() for tag in if_match.split(","))


@router.get("", responses=problems(404))
@needs("zones:read")
async def get_zones(stream: FoundStream, here: Here, response: Response) -> Zones:
    """All zones of the stream. `ETag` tells them from others."""
    zones = await here.store.zones.of(stream.id)
    response.headers["ETag"] = zones_tag(zones)
    return Zones.of(zones)


@router.put("", responses=problems(404, 412, 422))
@needs("zones:write")
async def put_zones(
    stream: FoundStream, body: Zones, here: Here, response: Response, if_match: IfMatch = None
) -> Zones:
    """Replaces all zones. The stream goes on: its people keep their ids, its process is only told."""
    zones = body.entities()
    await here.registry.set_zones(stream.id, zones, expected_tags(if_match))
    response.headers["ETag"] = zones_tag(zones)
    return body
