"""/v1/streams: what is watched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from service.bodies import Items, Stream, StreamCreate, StreamPatch, StreamQuery
from service.errors import problems
from service.errors_base import invalid
from service.rights import Principal, needs
from service.routes.context import Context, Here, Who, root_path
from service.routes.objects import FoundStream
from service.routes.watch import Watch
from service.storage.records import Cursor, StreamFilter, StreamRecord
from service.supervisor_protocol import SnapshotUnavailable
from service.wire_messages import without_places

router = APIRouter(prefix="/v1/streams", tags=["streams"])

SNAPSHOT_TIMEOUT_S = 5.0
_BOUNDARY = "actoscope-frame"
# A proxy that collects or packs pictures before it hands them on shows none; nginx asks by the second header.
LIVE_HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


def parse_cursor(text: str | None) -> Cursor | None:
    """Raises InvalidRequest for anything but a ``next_cursor``."""
    try:
        return None if text is None else Cursor.decode(text)
    except ValueError as error:
        raise invalid("cursor", str(error).removeprefix("expected "), text) from None


@router.post("", status_code=201, responses=problems(409, 422))
@needs("streams:write")
async def add_stream(body: StreamCreate, here: Here, who: Who, request: Request, response: Response) -> Stream:
    """Starts to watch a camera or a file. It is remembered and goes on after a restart of the service."""
    record = await here.registry.add(body)
    response.headers["Location"] = f"{root_path(request)}/v1/streams/{record.id}"
    return here.registry.describe(record, who)


@router.get("", responses=problems(422))
@needs("streams:read")
async def list_streams(query: Annotated[StreamQuery, Query()], here: Here, who: Who) -> Items[Stream]:
    """All streams that may be seen, oldest first."""
    wanted = StreamFilter(query.group)
    page = await here.store.list_streams(wanted, who.visible, parse_cursor(query.cursor), query.limit)
    return Items(items=[here.registry.describe(record, who) for record in page.items], next_cursor=page.next_cursor)


@router.get("/{stream_id}", responses=problems(404))
@needs("streams:read")
async def get_stream(stream: FoundStream, here: Here, who: Who) -> Stream:
    return here.registry.describe(stream, who)


@router.patch("/{stream_id}", responses=problems(403, 404, 409, 422))
@needs("streams:write")
async def change_stream(stream: FoundStream, body: StreamPatch, here: Here, who: Who) -> Stream:
    """Changes what is given. Other changes than of name and groups start the stream's process anew."""
    return here.registry.describe(await here.registry.change(stream.id, body), who)


@router.delete("/{stream_id}", status_code=204, responses=problems(403, 404))
@needs("streams:write")
async def delete_stream(stream: FoundStream, here: Here) -> None:
    """Stops the stream within 5 s, whatever its camera does, and forgets it. Its events and recordings stay."""
    await here.registry.remove(stream.id)


@router.post("/{stream_id}/restart", status_code=202, responses=problems(403, 404, 409))
@needs("streams:restart")
async def restart_stream(stream: FoundStream, here: Here, who: Who) -> Stream:
    """Connects anew; a stopped stream starts again, a file that came to its end is played again."""
    return here.registry.describe(await here.registry.restart(stream.id), who)


@router.get(
    "/{stream_id}/snapshot.jpg",
    response_class=Response,
    responses={200: {"description": "a picture", "content": {"image/jpeg": {}}}, **problems(404, 422, 503)},
)
@needs("live:read")
async def snapshot(
    stream: FoundStream,
    here: Here,
    who: Who,
    overlay: Annotated[bool, Query(description="with boxes, labels and zones")] = True,
) -> Response:
    """One fresh picture, with boxes, labels and zones or as it came."""
    jpeg = await _picture(here, who, stream, overlay)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.get(
    "/{stream_id}/live.mjpeg",
    response_class=StreamingResponse,
    responses={
        200: {"description": "pictures with overlay", "content": {"multipart/x-mixed-replace": {}}},
        **problems(404, 503),
    },
)
@needs("live:read")
async def live(stream: FoundStream, here: Here, who: Who, request: Request) -> Response:
    """Pictures with boxes and labels as they come, for an ``<img>``. They end when they may not be seen any more."""
    # The first one is waited for here, so that its absence is an error and no empty answer.
    first = await _picture(here, who, stream)
    media_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
    if request.method == "HEAD":
        return Response(media_type=media_type, headers=LIVE_HEADERS)
    pictures = Watch(request, here, who, "live:read").while_seen(stream.id, here.supervisor.watch(stream.id))
    return StreamingResponse(_parts(first, pictures), media_type=media_type, headers=LIVE_HEADERS)


async def _picture(here: Context, who: Principal, stream: StreamRecord, overlay: bool = True) -> bytes:
    """Raises SnapshotUnavailable, whose reason says where the camera is to those alone who may change it."""
    try:
        return await here.supervisor.snapshot(stream.id, SNAPSHOT_TIMEOUT_S, overlay)
    except SnapshotUnavailable as error:
        if who.may("streams:write", stream.id):
            raise
        raise SnapshotUnavailable(without_places(str(error))) from None


async def _parts(first: bytes, pictures: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield _part(first)
    async for jpeg in pictures:
        yield _part(jpeg)


def _part(jpeg: bytes) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + b"\r\n"
