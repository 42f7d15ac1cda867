"""/v1/recordings: finished files with overlay, and their messages."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import FileResponse

from service.bodies import Items, Recording, RecordingQuery, to_recording
from service.errors import problems
from service.errors_base import NotFound, not_found
from service.routes.context import Context, Here, root_path
from service.routes.events import unix
from service.routes.files import file_answer
from service.routes.streams import parse_cursor
from service.storage.records import RecordingFilter, RecordingRecord

router = APIRouter(prefix="/v1/recordings", tags=["recordings"])

_ID = re.compile(r"rec_[0-9a-f]{16}")


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
async def list_recordings(query: Annotated[RecordingQuery, Query()], here: Here, request: Request) -> Items[Recording]:
    """Newest first. A file appears once it is finished."""
    wanted = RecordingFilter(query.stream, unix(query.since), unix(query.until))
    page = await here.store.list_recordings(wanted, parse_cursor(query.cursor), query.limit)
    return Items(
        items=[to_recording(record, root_path(request)) for record in page.items], next_cursor=page.next_cursor
    )


@router.get("/{recording_id}", responses=problems(404))
async def get_recording(recording: Found, request: Request) -> Recording:
    return to_recording(recording, root_path(request))


@router.delete("/{recording_id}", status_code=204, responses=problems(404))
async def delete_recording(recording: Found, here: Here) -> None:
    """Deletes the file, its messages and its entry."""
    await here.recordings.delete(recording)


_VIDEO: dict[int | str, dict[str, Any]] = {
    200: {"description": "the whole file", "content": {"video/mp4": {}}},
    206: {"description": "the range asked for", "content": {"video/mp4": {}}},
    304: {"description": "the client has this very file"},
    **problems(404, 416),
}


@router.get("/{recording_id}/video.mp4", response_class=FileResponse, responses=_VIDEO)
async def video(recording: Found, here: Here, request: Request) -> Response:
    """The MP4. Understands ``Range``, so that a browser can seek."""
    path = _existing(here, recording.path)
    return file_answer(request, path, "video/mp4", path.name)


_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "one message a line", "content": {"application/jsonl": {}}},
    304: {"description": "the client has this very file"},
    **problems(404, 416),
}


@router.get("/{recording_id}/events.jsonl", response_class=FileResponse, responses=_EVENTS)
async def recorded_events(recording: Found, here: Here, request: Request) -> Response:
    """The messages of the websocket from the time of the recording, as JSON lines."""
    if recording.events_path is None:
        raise NotFound("this recording has no messages")
    path = _existing(here, recording.events_path)
    return file_answer(request, path, "application/jsonl", path.name)


def _existing(here: Context, relative: str) -> FilePath:
    path = here.recordings.path(relative)
    if not path.is_file():
        raise NotFound("the file of this recording is gone")
    return path
