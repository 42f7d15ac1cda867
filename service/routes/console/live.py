"""/v1/live: the newest pictures of many cameras and who is in them, by one answer that does not end.

A browser holds six connections to one server, so nine cameras share one. Every picture is as the camera sent it and
comes right behind the message about that very frame, so that boxes drawn over it are where the people are, and can be
switched off. Whoever reads slowly gets fewer pictures, never older ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from service.access.route_audit import SHOWN
from service.bodies import Request as RequestBody
from service.bodies import Text
from service.errors import problems
from service.errors_base import not_found
from service.rights import Principal, needs
from service.routes.context import Context, Here, Who
from service.routes.streams import LIVE_HEADERS
from service.routes.watch import RightsEnded, Watch
from service.subscription import to_text
from service.supervisor_protocol import LivePicture

router = APIRouter(prefix="/v1/live", tags=["streams"])

MOST = 16
_BOUNDARY = "actoscope-part"
_MEDIA_TYPE = f"multipart/mixed; boundary={_BOUNDARY}"
_PERMISSION = "live:read"

Sourced = tuple[str, LivePicture]  # of which stream, what
Sources = Mapping[str, AsyncIterator[LivePicture]]


class LiveQuery(RequestBody):
    stream: list[Text] = Field(
        default_factory=list, max_length=MOST, description=f"stream id; may be repeated; none: the first {MOST}"
    )
    full: list[Text] = Field(
        default_factory=list,
        max_length=MOST,
        description="of these ids up to 1920 pixels wide and ten a second, of the others up to 640 and five",
    )


@router.get(
    "",
    response_class=StreamingResponse,
    responses={
        200: {"description": "for each picture two parts, JSON and JPEG", "content": {"multipart/mixed": {}}},
        **problems(404, 422),
    },
)
@needs(_PERMISSION)
async def live_pictures(query: Annotated[LiveQuery, Query()], here: Here, who: Who, request: Request) -> Response:
    """Pictures of several streams as they come, without overlay: a `tracks` message, then that frame as JPEG.

    They end when none of the streams may be seen any more.
    """
    ids = await _chosen(here, who, query.stream)
    request.scope["state"][SHOWN] = ids
    if request.method == "HEAD":
        return StreamingResponse(iter(()), media_type=_MEDIA_TYPE, headers=LIVE_HEADERS)  # of no length, as by GET
    sources = {stream_id: here.supervisor.live(stream_id, stream_id in query.full) for stream_id in ids}
    parts = _parts(Watch(request, here, who, _PERMISSION), sources, here)
    return StreamingResponse(parts, media_type=_MEDIA_TYPE, headers=LIVE_HEADERS)


async def _chosen(here: Context, who: Principal, wanted: list[str]) -> list[str]:
    """→ ids of streams that may be seen. Raises NotFound for one that may not, as for one that there is not."""
    known = [record.id for record in await here.store.all_streams(who.visible) if who.may(_PERMISSION, record.id)]
    for stream_id in wanted:
        if stream_id not in known:
            raise not_found("stream", stream_id)
    return list(dict.fromkeys(wanted or known[:MOST]))


async def _parts(watch: Watch, sources: Sources, here: Context) -> AsyncIterator[bytes]:
    def seen(who: Principal, stream_id: str) -> bool:
        return who.visible.sees(stream_id) and who.may(_PERMISSION, stream_id)

    def take(who: Principal) -> None:
        if not any(seen(who, stream_id) for stream_id in sources):
            raise RightsEnded("none of the streams may be seen any more")

    pictures = newest_of(sources, lambda: here.hub.note("live_pictures_replaced_total"))
    async for stream_id, picture in watch.during(take, pictures, "rights to live pictures"):
        if seen(watch.who, stream_id):
            yield _part("application/json", to_text(picture.tracks).encode()) + _part("image/jpeg", picture.jpeg)


async def newest_of(sources: Sources, replaced: Callable[[], None]) -> AsyncIterator[Sourced]:
    """The newest picture of each source, in turns, until all sources have ended. Raises what a source raises.

    ``replaced`` is called for each picture that a newer one of its stream took the place of before it was taken.
    """
    waiting: dict[str, LivePicture] = {}
    came = asyncio.Event()

    async def read(stream_id: str, pictures: AsyncIterator[LivePicture]) -> None:
        async for picture in pictures:
            if stream_id in waiting:
                replaced()
            waiting[stream_id] = picture  # at the place in the turn that the former one had
            came.set()

    tasks = [asyncio.create_task(read(*each), name=f"live pictures of {each[0]}") for each in sources.items()]
    for task in tasks:
        task.add_done_callback(lambda _: came.set())
    try:
        while True:
            came.clear()
            while waiting:
                stream_id = next(iter(waiting))
                yield stream_id, waiting.pop(stream_id)
            over = [_is_over(task) for task in tasks]
            if all(over):
                return
            await came.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_over(task: asyncio.Task[None]) -> bool:
    """Raises what ended it."""
    if task.done():
        task.result()
    return task.done()


def _part(media_type: str, content: bytes) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Type: {media_type}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content + b"\r\n"
