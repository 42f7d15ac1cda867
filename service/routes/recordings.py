"""/v1/recordings: finished files and their messages."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from service.bodies import Items, Recording, RecordingQuery, to_recording
from service.bucket.bucket import Bucket
from service.errors import problems
from service.errors_base import NotFound
from service.recording.sidecar import DAMAGED
from service.rights import needs
from service.routes.context import Here, Who, root_path
from service.routes.files import begun, kept_answer
from service.routes.objects import FoundRecording
from service.routes.streams import parse_cursor
from service.routes.times import unix
from service.storage.records import RecordingFilter

_PIECE = 1 << 16
_GZIP = 31  # zlib's word for gzip's header and the largest window
router = APIRouter(prefix="/v1/recordings", tags=["recordings"])


@router.get("", responses=problems(422))
@needs("recordings:read")
async def list_recordings(
    query: Annotated[RecordingQuery, Query()], here: Here, who: Who, request: Request
) -> Items[Recording]:
    """Newest first. A file appears once it is finished."""
    wanted = RecordingFilter(query.stream, unix(query.since), unix(query.until))
    page = await here.store.list_recordings(wanted, who.visible, parse_cursor(query.cursor), query.limit)
    return Items(
        items=[to_recording(record, root_path(request)) for record in page.items], next_cursor=page.next_cursor
    )


@router.get("/{recording_id}", responses=problems(404))
@needs("recordings:read")
async def get_recording(recording: FoundRecording, request: Request) -> Recording:
    return to_recording(recording, root_path(request))


@router.delete("/{recording_id}", status_code=204, responses=problems(403, 404))
@needs("recordings:delete")
async def delete_recording(recording: FoundRecording, here: Here) -> None:
    """Deletes the file, its messages and its entry."""
    await here.recordings.delete(recording)


_VIDEO: dict[int | str, dict[str, Any]] = {
    200: {"description": "the whole file", "content": {"video/mp4": {}}},
    206: {"description": "the range asked for", "content": {"video/mp4": {}}},
    304: {"description": "the client has this very file"},
    **problems(404, 416, 503),
}


@router.get("/{recording_id}/video.mp4", response_class=FileResponse, responses=_VIDEO)
@needs("recordings:read")
async def video(recording: FoundRecording, here: Here, request: Request) -> Response:
    """The MP4. Understands ``Range``, so that a browser can seek."""
    path = await here.recordings.find(recording, recording.path)
    return await kept_answer(request, here.recordings.bucket, path, "video/mp4", path.name)


_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "one message a line", "content": {"application/jsonl": {}}},
    304: {"description": "the client has this very file"},
    **problems(404, 416, 503),
}


@router.get("/{recording_id}/events.jsonl", response_class=FileResponse, responses=_EVENTS)
@needs("recordings:read")
async def recorded_events(recording: FoundRecording, here: Here, request: Request) -> Response:
    """The messages of the websocket from the time of the recording, as JSON lines."""
    if recording.events_path is None:
        raise NotFound("this recording has no messages")
    bucket = here.recordings.bucket
    path = await here.recordings.find(recording, recording.events_path)
    name = path.name.removesuffix(".gz")
    if path == path.with_name(name):
        return await kept_answer(request, bucket, path, "application/jsonl", name)
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        packed = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return await kept_answer(request, bucket, path, "application/jsonl", name, packed)
    lines = _unpacked(path) if bucket is None or path.is_file() else await _unpacked_from(bucket, path)
    return StreamingResponse(lines, media_type="application/jsonl", headers={"Vary": "Accept-Encoding"})


def _takes_gzip(accepted: str) -> bool:
    """RFC 9110, section 12.5.3: ``gzip;q=0`` refuses it."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _unpacked(path: FilePath) -> Iterator[bytes]:
    """A file that was damaged ends where it is damaged."""
    with contextlib.suppress(*DAMAGED, FileNotFoundError), gzip.open(path) as file:
        while piece := file.read(_PIECE):
            yield piece


async def _unpacked_from(bucket: Bucket, path: FilePath) -> AsyncIterator[bytes]:
    """The same of one that is in the bucket. Raises NotFound, Unavailable."""
    record = await bucket.find(path)
    packed = await begun(bucket.blocks(record, 0, record.bytes - 1))

    async def lines() -> AsyncIterator[bytes]:
        unpacker = zlib.decompressobj(_GZIP)
        with contextlib.suppress(*DAMAGED):
            async for block in packed:
                yield unpacker.decompress(block, _PIECE)
                while unpacker.unconsumed_tail:
                    yield unpacker.decompress(unpacker.unconsumed_tail, _PIECE)
            yield unpacker.flush()

    return lines()
