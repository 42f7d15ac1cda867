"""/v1/incidents: what rules found."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from service.bodies import Items
from service.errors import problems
from service.errors_base import Conflict, NotFound, not_found
from service.rights import ALL, needs
from service.routes.alert_bodies import Incident, IncidentPatch, IncidentQuery, to_incident
from service.routes.context import Context, Here, Who, root_path
from service.routes.files import kept_answer
from service.routes.objects import FoundIncident
from service.routes.streams import parse_cursor
from service.routes.times import unix
from service.storage.incidents import IncidentFilter

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

MAX_KEPT = 1000


@router.get("", responses=problems(422))
@needs("incidents:read")
async def list_incidents(
    query: Annotated[IncidentQuery, Query()], here: Here, who: Who, request: Request
) -> Items[Incident]:
    """Newest start first; one that goes on has no `ended_at`."""
    wanted = IncidentFilter(
        query.stream, query.rule, query.zone, query.severity, query.state, unix(query.since), unix(query.until)
    )
    page = await here.alerts.incidents.list(wanted, who.visible, parse_cursor(query.cursor), query.limit)
    return Items(items=[to_incident(each, root_path(request)) for each in page.items], next_cursor=page.next_cursor)


@router.get("/{incident_id}", responses=problems(404))
@needs("incidents:read")
async def get_incident(incident: FoundIncident, request: Request) -> Incident:
    return to_incident(incident, root_path(request))


@router.patch("/{incident_id}", responses=problems(403, 404, 409, 422))
@needs("incidents:write")
async def keep_incident(incident: FoundIncident, body: IncidentPatch, here: Here, request: Request) -> Incident:
    """Retention removes no kept incident, with its picture and clip; a thousand may be kept."""
    if not await here.alerts.incidents.keep(incident.id, body.kept, MAX_KEPT):
        raise Conflict(f"{MAX_KEPT} incidents are kept, which is the limit")
    fresh = await here.alerts.incidents.get(incident.id, ALL)
    if fresh is None:
        raise not_found("incident", incident.id)
    return to_incident(fresh, root_path(request))


def _documented(media_type: str) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {"content": {media_type: {}}}
    return {
        200: {"description": "the whole file", **content},
        206: {"description": "the range asked for", **content},
        304: {"description": "the client has this very file"},
        **problems(404, 416, 503),
    }


@router.get("/{incident_id}/snapshot.jpg", response_class=FileResponse, responses=_documented("image/jpeg"))
@needs("incidents:read")
async def incident_picture(incident: FoundIncident, here: Here, request: Request) -> Response:
    """The stream's picture, with boxes and labels, when it started."""
    return await _file(here, request, incident.snapshot_path, "image/jpeg")


@router.get("/{incident_id}/clip.mp4", response_class=FileResponse, responses=_documented("video/mp4"))
@needs("incidents:read")
async def incident_clip(incident: FoundIncident, here: Here, request: Request) -> Response:
    """What was recorded of it, with the seconds before and after that its rule asks for. Understands `Range`."""
    return await _file(here, request, incident.clip_path, "video/mp4")


async def _file(here: Context, request: Request, relative: str | None, media_type: str) -> Response:
    if relative is None:
        raise NotFound("this incident has no such file, or not yet")
    return await kept_answer(request, here.recordings.bucket, here.alerts.media.path(relative), media_type)
