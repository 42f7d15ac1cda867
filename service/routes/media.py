"""/v1/media: an incident's picture and clip, by a link that is signed or as somebody who may see its stream."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse

from service.bodies import MediaKeysRotation, Text
from service.errors import problems
from service.errors_base import NotFound, not_found
from service.rights import ALL, OPEN, Visible, needs
from service.routes.context import Context, Here, get_visitor
from service.routes.files import kept_answer
from service.routes.objects import check_permission
from service.storage.incidents import IncidentRecord

router = APIRouter(prefix="/v1", tags=["media"])

_ID = re.compile(r"inc_[0-9a-f]{16}")
_HEADERS = {
    "Cache-Control": "private, no-store",  # a link that ends must not live on in a cache
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# A link is meant for messages, which other sites show; what a user is let in for is not.
_OWN_PAGES = {"Cross-Origin-Resource-Policy": "same-origin"}
IncidentId = Annotated[str, Path(description="id of an incident", examples=["inc_0123456789abcdef"])]
Expiry = Annotated[Text | None, Query(description="of a signed link: Unix time", examples=["1777000000"])]
Signature = Annotated[Text | None, Query(description="of a signed link")]


def _documented(media_type: str) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {"content": {media_type: {}}}
    return {
        200: {"description": "the whole file", **content},
        206: {"description": "the range asked for", **content},
        304: {"description": "the client has this very file"},
        **problems(401, 403, 404, 416, 422, 503),
    }


@router.get("/media/{incident_id}/snapshot.jpg", response_class=FileResponse, responses=_documented("image/jpeg"))
@needs(OPEN)
async def incident_snapshot(
    incident_id: IncidentId, here: Here, request: Request, exp: Expiry = None, sig: Signature = None
) -> Response:
    """The picture of an incident, for whoever has a signed link to it (``exp``, ``sig``) or may see its stream."""
    found = await _found(here, request, incident_id, exp is not None or sig is not None)
    return await _file(here, request, found.snapshot_path, "image/jpeg")


@router.get("/media/{incident_id}/clip.mp4", response_class=FileResponse, responses=_documented("video/mp4"))
@needs(OPEN)
async def incident_clip(
    incident_id: IncidentId, here: Here, request: Request, exp: Expiry = None, sig: Signature = None
) -> Response:
    """The clip of an incident, likewise. Understands ``Range``."""
    found = await _found(here, request, incident_id, exp is not None or sig is not None)
    return await _file(here, request, found.clip_path, "video/mp4")


async def _found(here: Context, request: Request, incident_id: str, signed: bool) -> IncidentRecord:
    """A signature is a credential: a wrong one is refused, whoever else asks. Raises what an answer can be."""
    if signed:
        name = request.url.path.rpartition("/")[2]
        here.links.check(f"{router.prefix}/media/{incident_id}/{name}", request.query_params)
        return await _incident(here, incident_id, ALL)
    who = await get_visitor(request)
    check_permission(who, "incidents:read")
    found = await _incident(here, incident_id, who.visible)
    check_permission(who, "incidents:read", found.stream_id)
    return found


async def _incident(here: Context, incident_id: str, visible: Visible) -> IncidentRecord:
    known = _ID.fullmatch(incident_id)
    found = await here.alerts.incidents.get(incident_id, visible) if known else None
    if found is None:
        raise not_found("incident", incident_id)
    return found


async def _file(here: Context, request: Request, relative: str | None, media_type: str) -> Response:
    if relative is None:
        raise NotFound("this incident has no such file, or not yet")
    headers = _HEADERS if "sig" in request.query_params else _HEADERS | _OWN_PAGES
    path = here.alerts.media.path(relative)
    return await kept_answer(request, here.recordings.bucket, path, media_type, headers=headers)


@router.post("/media-keys/rotate", status_code=204, responses=problems(422))
@needs("media-keys:write")
async def rotate_media_keys(here: Here, body: MediaKeysRotation | None = None) -> None:
    """Links are signed with a new key from now on. Those made before end now, unless the body says otherwise."""
    await here.links.rotate(revoke=body is None or body.revoke)
