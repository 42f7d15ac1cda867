"""/v1/exports: cases, made by the service in its own time, kept until somebody deletes them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import HTTPConnection

from service.bodies import Items
from service.errors import problems
from service.errors_base import Forbidden, NotFound, invalid, not_found
from service.ids import new_id
from service.rights import Principal, needed, needs
from service.routes.context import Address, Context, Here, Who, root_path
from service.routes.files import file_answer
from service.routes.objects import check_permission
from service.routes.review.export_bodies import Export, ExportCreate, ExportQuery, to_export
from service.routes.streams import parse_cursor
from service.storage.review.events import reviewer
from service.storage.review.exports import ExportCamera, ExportRecord
from service.wire_messages import rfc3339

router = APIRouter(prefix="/v1/exports", tags=["exports"])

LONGEST_S = 7 * 86_400.0
LONGEST_CVAT_S = 3600.0  # such a file names every box of every picture
_ID = re.compile(r"exp_[0-9a-f]{16}")
_WRITE = "exports:write"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a body asks for, looked up: cameras, a span in Unix time, what to call it, who is not pixelated where."""

    streams: Sequence[str]
    since: float
    until: float
    name: str
    keep: Mapping[str, frozenset[int]]


async def find_export(
    export_id: Annotated[str, Path(description="id of a case", examples=["exp_0123456789abcdef"])],
    here: Here,
    who: Who,
    connection: HTTPConnection,
) -> ExportRecord:
    """Raises NotFound and Forbidden."""
    record = await here.exports.exports.get(export_id, who.visible) if _ID.fullmatch(export_id) else None
    if record is None:
        raise not_found("export", export_id)
    permission = needed(connection.scope["endpoint"]) or ""
    if not all(who.may(permission, stream_id) for stream_id in record.stream_ids):
        raise Forbidden(f"expected the permission {permission} for every stream of the case, which you do not have")
    return record


FoundExport = Annotated[ExportRecord, Depends(find_export)]


@router.post("", status_code=202, responses=problems(403, 404, 409, 422))
@needs(_WRITE)
async def add_export(
    body: ExportCreate, here: Here, who: Who, address: Address, request: Request, response: Response
) -> Export:
    """Queues a case. It is begun once the recordings of its time are finished, one case after the other."""
    wanted = await _wanted(here, who, body)
    cameras = tuple([await _camera(here, who, stream_id, wanted) for stream_id in wanted.streams])
    record = ExportRecord(
        id=new_id("exp"),
        name=body.name or wanted.name,
        cameras=cameras,
        since=wanted.since,
        until=wanted.until,
        made_by=who.name,
        created_at=time.time(),
        overlay=body.overlay,
        pixelate_others=body.pixelate_others,
        cvat=body.cvat,
    )
    await here.exports.add(record)
    await here.audit.record(who, _WRITE, record.id, detail=_detail(record), address=address)
    response.headers["Location"] = f"{root_path(request)}/v1/exports/{record.id}"
    return _told(here, request, record)


@router.get("", responses=problems(422))
@needs("exports:read")
async def list_exports(query: Annotated[ExportQuery, Query()], here: Here, who: Who, request: Request) -> Items[Export]:
    """Newest first: those of which you may see every camera from the beginning on."""
    page = await here.exports.exports.list(who.visible, parse_cursor(query.cursor), query.limit)
    return Items(items=[_told(here, request, each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/{export_id}", responses=problems(404))
@needs("exports:read")
async def get_export(export: FoundExport, here: Here, request: Request) -> Export:
    return _told(here, request, export)


@router.delete("/{export_id}", status_code=204, responses=problems(403, 404))
@needs(_WRITE)
async def delete_export(export: FoundExport, here: Here, who: Who, address: Address) -> None:
    """With its file; one that is being made is given up."""
    await here.exports.remove(export.id)
    detail = {"deleted": True, "state": export.state, "sha256": export.sha256}
    await here.audit.record(who, _WRITE, export.id, detail=detail, address=address)


_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "the whole file", "content": {"application/zip": {}}},
    206: {"description": "the range asked for", "content": {"application/zip": {}}},
    304: {"description": "the client has this very file"},
    **problems(404, 416),
}


@router.get("/{export_id}/case.zip", response_class=FileResponse, responses=_FILE)
@needs("exports:read")
async def export_file(export: FoundExport, here: Here, who: Who, address: Address, request: Request) -> Response:
    """The case. Understands `Range`; who fetched it stands in the audit."""
    if export.state != "done":
        raise NotFound(f"this case has no file: it is {export.state}")
    answer = file_answer(request, here.exports.file(export.id), "application/zip", f"case-{export.id}.zip", _SAVED)
    gives = request.method == "GET" and answer.status_code == 200  # of ranges too: 206 is said when it is sent
    if gives and here.exports.downloads.begins(who, export.id):
        await here.audit.record(who, "exports:read", export.id, detail={"sha256": export.sha256}, address=address)
    return answer


_SAVED = {"Cache-Control": "private, no-store"}


def _told(here: Context, request: Request, record: ExportRecord) -> Export:
    return to_export(record, here.exports.standing(record), root_path(request))


def _detail(record: ExportRecord) -> dict[str, Any]:
    return {
        "streams": list(record.stream_ids),
        **{"since": rfc3339(record.since), "until": rfc3339(record.until)},
        **{"overlay": record.overlay, "pixelate_others": record.pixelate_others},
    }


# -- what is wanted


async def _wanted(here: Context, who: Principal, body: ExportCreate) -> Wanted:
    wanted = await _named(here, who, body)
    if body.cvat and wanted.until - wanted.since > LONGEST_CVAT_S:
        raise invalid("cvat", "a span of an hour at most", f"{rfc3339(wanted.since)} to {rfc3339(wanted.until)}")
    keep = {**wanted.keep}
    for stream_id, track_id in body.keep_tracks:
        keep[stream_id] = keep.get(stream_id, frozenset()) | {track_id}
    return replace(wanted, keep=keep)


async def _named(here: Context, who: Principal, body: ExportCreate) -> Wanted:
    if body.incident is not None:
        return await _of_incident(here, who, body.incident, body.seconds_around)
    if body.event is not None:
        return await _of_event(here, who, body.event, body.seconds_around)
    return _of_span(body)


def _of_span(body: ExportCreate) -> Wanted:
    if body.since is None or body.until is None or body.streams is None:
        raise TypeError("expected a body that was checked")
    since, until, now = body.since.timestamp(), body.until.timestamp(), time.time()
    if until > now:
        raise invalid("until", f"a time that is past, now {rfc3339(now)}", rfc3339(until))
    if not 0 < until - since <= LONGEST_S:
        raise invalid("until", "a time after since, a week at most", rfc3339(until))
    return Wanted(body.streams, since, until, f"{rfc3339(since)} to {rfc3339(until)}", {})


async def _of_incident(here: Context, who: Principal, incident_id: str, around_s: float) -> Wanted:
    found = await here.alerts.incidents.get(incident_id, who.visible)
    if found is None:
        raise not_found("incident", incident_id)
    ended_at = found.updated_at if found.ended_at is None else found.ended_at
    span = _around(who, found.stream_id, (found.started_at, ended_at), around_s)
    return Wanted((found.stream_id,), *span, found.rule_name, {found.stream_id: frozenset(found.tracks)})


async def _of_event(here: Context, who: Principal, event_id: str, around_s: float) -> Wanted:
    seen = await here.review.events.get(event_id, who.visible, reviewer(who))
    if seen is None:
        raise not_found("event", event_id)
    found = seen.event
    ended_at = found.updated_at if found.ended_at is None else found.ended_at
    span = _around(who, found.stream_id, (found.started_at, ended_at), around_s)
    return Wanted((found.stream_id,), *span, found.action, {found.stream_id: frozenset({found.track_id})})


def _around(who: Principal, stream_id: str, span: tuple[float, float], around_s: float) -> tuple[float, float]:
    """→ a span with seconds around it, as far as the past is shown and has been; a week at most."""
    shown_since = None if who.visible.streams is None else who.visible.streams.get(stream_id)
    since = span[0] - around_s if shown_since is None else max(span[0] - around_s, shown_since)
    return since, min(span[1] + around_s, time.time(), since + LONGEST_S)


async def _camera(here: Context, who: Principal, stream_id: str, wanted: Wanted) -> ExportCamera:
    """Raises NotFound for one that may not be seen, Forbidden, and InvalidRequest for a past that is not shown.

    Recordings outlive their stream: whoever sees all streams may have those of one that is gone.
    """
    stream = await here.store.get_stream(stream_id, who.visible)
    recorded = await here.exports.exports.recorded_until(stream_id) if who.visible.sees(stream_id) else None
    if stream is None and recorded is None:
        raise not_found("stream", stream_id)
    check_permission(who, _WRITE, stream_id)
    if not who.visible.sees(stream_id, wanted.since):
        raise invalid("since", f"a time from which on {stream_id} is shown to you", rfc3339(wanted.since))
    name = stream_id if stream is None else stream.name
    return ExportCamera(stream_id, name, tuple(sorted(wanted.keep.get(stream_id, ()))))
