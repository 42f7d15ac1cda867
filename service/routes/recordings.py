"""/v1/recordings: finished files with overlay, and their messages."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse

from service.bodies import Items, Recording, RecordingQuery, to_recording
from service.errors import problems
from service.errors_base import NotFound, RangeBeyondFile, not_found
from service.routes.context import Context, Here
from service.routes.events import unix
from service.routes.streams import parse_cursor
from service.storage.records import RecordingFilter, RecordingRecord

router = APIRouter(prefix="/v1/recordings", tags=["recordings"])

_ID = re.compile(r"rec_[0-9a-f]{16}")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


async def find_recording(
    recording_id: Annotated[str, Path(description="id of a recording", examples=["rec_0123456789abcdef"])], here: Here
) -> RecordingRecord:
    """Raises NotFound."""
    record = await here.store.get_recording(recording_id) if _ID.fullmatch(recording_id) else None
    if record is None:
        raise not_found("recording", recording_id)
    return record


Found = Annotated[RecordingRecord, Depends(find_recording)]


@router.get("", responses=problems(422))
async def list_recordings(query: Annotated[RecordingQuery, Query()], here: Here) -> Items[Recording]:
    """Newest first. A file appears once it is finished."""
    wanted = RecordingFilter(query.stream, unix(query.since), unix(query.until))
    page = await here.store.list_recordings(wanted, parse_cursor(query.cursor), query.limit)
    return Items(items=[to_recording(record) for record in page.items], next_cursor=page.next_cursor)


@router.get("/{recording_id}", responses=problems(404))
async def get_recording(recording: Found) -> Recording:
    return to_recording(recording)


@router.delete("/{recording_id}", status_code=204, responses=problems(404))
async def delete_recording(recording: Found, here: Here) -> None:
    """Deletes the file, its messages and its entry."""
    await here.recordings.delete(recording)


_VIDEO = {
    200: {"description": "the whole file", "content": {"video/mp4": {}}},
    206: {"description": "the range asked for", "content": {"video/mp4": {}}},
    **problems(404, 416),
}


@router.head("/{recording_id}/video.mp4", response_class=FileResponse, include_in_schema=False)
@router.get("/{recording_id}/video.mp4", response_class=FileResponse, responses=_VIDEO)
async def video(recording: Found, here: Here, request: Request) -> FileResponse:
    """The MP4. Understands ``Range``, so that a browser can seek."""
    path = _existing(here, recording.path)
    _check_range(request, path.stat().st_size)
    return FileResponse(path, media_type="video/mp4", filename=path.name, content_disposition_type="inline")


_EVENTS = {200: {"description": "one message a line", "content": {"application/jsonl": {}}}, **problems(404)}


@router.get("/{recording_id}/events.jsonl", response_class=FileResponse, responses=_EVENTS)
async def recorded_events(recording: Found, here: Here, request: Request) -> FileResponse:
    """The messages of the websocket from the time of the recording, as JSON lines."""
    if recording.events_path is None:
        raise NotFound("this recording has no messages")
    path = _existing(here, recording.events_path)
    _check_range(request, path.stat().st_size)
    return FileResponse(path, media_type="application/jsonl", filename=path.name, content_disposition_type="inline")


def _existing(here: Context, relative: str) -> FilePath:
    path = here.recordings.path(relative)
    if not path.is_file():
        raise NotFound("the file of this recording is gone")
    return path


def _check_range(request: Request, size: int) -> None:
    """RFC 9110: a ``Range`` that is not understood is passed over. Raises RangeBeyondFile."""
    header = request.headers.get("range")
    if header is None:
        return
    match = _RANGE.fullmatch(header.strip())
    first, last = match.groups() if match else ("", "")
    understood = bool(first or last) and not (first and last and int(last) < int(first))
    if not understood:  # several ranges at once, other units, nonsense: the whole file is a right answer
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
    elif (first and int(first) >= size) or (not first and int(last) == 0):
        raise RangeBeyondFile(size)
