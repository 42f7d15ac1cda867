"""/v1/streams: what is watched."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from service.bodies import Items, PageQuery, Stream, StreamCreate, StreamPatch
from service.errors import problems
from service.errors_base import invalid, not_found
from service.routes.context import Here, root_path
from service.storage.records import Cursor

router = APIRouter(prefix="/v1/streams", tags=["streams"])

SNAPSHOT_TIMEOUT_S = 5.0
_BOUNDARY = "actoscope-frame"
# A proxy that collects or packs pictures before it hands them on shows none; nginx asks by the second header.
_LIVE = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
_ID = re.compile(r"str_[0-9a-f]{16}")


def stream_id(stream_id: Annotated[str, Path(description="id of a stream", examples=["str_0123456789abcdef"])]) -> str:
    """A text that cannot be an id is not worth a look into the database. Raises NotFound."""
    if not _ID.fullmatch(stream_id):
        raise not_found("stream", stream_id)
    return stream_id


StreamId = Annotated[str, Depends(stream_id)]


def parse_cursor(text: str | None) -> Cursor | None:
    """Raises InvalidRequest for anything but a ``next_cursor``."""
    try:
        return None if text is None else Cursor.decode(text)
    except ValueError as error:
        raise invalid("cursor", str(error).removeprefix("expected "), text) from None


@router.post("", status_code=201, responses=problems(409, 422))
async def add_stream(body: StreamCreate, here: Here, request: Request, response: Response) -> Stream:
    """Starts to watch a camera or a file. It is remembered and goes on after a restart of the service."""
    record = await here.registry.add(body)
    response.headers["Location"] = f"{root_path(request)}/v1/streams/{record.id}"
    return here.registry.describe(record)


@router.get("", responses=problems(422))
async def list_streams(query: Annotated[PageQuery, Query()], here: Here) -> Items[Stream]:
    """All streams, oldest first."""
    page = await here.store.list_streams(parse_cursor(query.cursor), query.limit)
    return Items(items=[here.registry.describe(record) for record in page.items], next_cursor=page.next_cursor)


@router.get("/{stream_id}", responses=problems(404))
async def get_stream(stream_id: StreamId, here: Here) -> Stream:
    return here.registry.describe(await here.registry.get(stream_id))


@router.patch("/{stream_id}", responses=problems(404, 409, 422))
async def change_stream(stream_id: StreamId, body: StreamPatch, here: Here) -> Stream:
    """Changes what is given. Other changes than of the name start the stream's process anew."""
    return here.registry.describe(await here.registry.change(stream_id, body))


@router.delete("/{stream_id}", status_code=204, responses=problems(404))
async def delete_stream(stream_id: StreamId, here: Here) -> None:
    """Stops the stream within 5 s, whatever its camera does, and forgets it. Its events and recordings stay."""
    await here.registry.remove(stream_id)


@router.post("/{stream_id}/restart", status_code=202, responses=problems(404, 409))
async def restart_stream(stream_id: StreamId, here: Here) -> Stream:
    """Connects anew; a stopped stream starts again, a file that came to its end is played again."""
    return here.registry.describe(await here.registry.restart(stream_id))


@router.get(
    "/{stream_id}/snapshot.jpg",
    response_class=Response,
    responses={200: {"description": "a picture with overlay", "content": {"image/jpeg": {}}}, **problems(404, 503)},
)
async def snapshot(stream_id: StreamId, here: Here) -> Response:
    """One fresh picture with boxes and labels."""
    await here.registry.get(stream_id)
    jpeg = await here.supervisor.snapshot(stream_id, SNAPSHOT_TIMEOUT_S)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.get(
    "/{stream_id}/live.mjpeg",
    response_class=StreamingResponse,
    responses={
        200: {"description": "pictures with overlay", "content": {"multipart/x-mixed-replace": {}}},
        **problems(404, 503),
    },
)
async def live(stream_id: StreamId, here: Here, request: Request) -> Response:
    """Pictures with boxes and labels as they come, for an ``<img>``."""
    await here.registry.get(stream_id)
    # The first one is waited for here, so that its absence is an error and no empty answer.
    first = await here.supervisor.snapshot(stream_id, SNAPSHOT_TIMEOUT_S)
    media_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
    if request.method == "HEAD":
        return Response(media_type=media_type, headers=_LIVE)
    pictures = _parts(first, here.supervisor.watch(stream_id))
    return StreamingResponse(pictures, media_type=media_type, headers=_LIVE)


async def _parts(first: bytes, pictures: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield _part(first)
    async for jpeg in pictures:
        yield _part(jpeg)


def _part(jpeg: bytes) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + b"\r\n"
