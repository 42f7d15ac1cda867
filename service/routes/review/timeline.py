"""/v1/timeline: what happened in a span of time, for lanes and the density of a day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_core import to_json

from service.bodies import Request, Text
from service.errors import problems
from service.rights import Principal, needs
from service.routes.context import Context, Here, Who
from service.routes.times import Moment, Timezone, zone_of
from service.storage.review.events import reviewer
from service.storage.review.timeline import Row, Span, TimelineRecord
from service.wire_messages import rfc3339

router = APIRouter(prefix="/v1/timeline", tags=["events"])

MAX_DAYS = 31


class TimelineQuery(Request):
    stream: list[Text] = Field(default_factory=list, max_length=100, description="stream id; may be repeated")
    since: Moment = Field(description="RFC 3339")
    until: Moment = Field(description=f"at most {MAX_DAYS} days later")
    timezone: Timezone | None = Field(None, description="IANA name, which comes back; default: the service's, else UTC")

    @field_validator("until")
    @classmethod
    def _later(cls, until: datetime, info: ValidationInfo) -> datetime:
        since = info.data.get("since")
        if since is not None and not 0 < (until - since).total_seconds() <= MAX_DAYS * 86_400:
            raise ValueError(f"expected a time after since, at most {MAX_DAYS} days")
        return until


class TimelineStream(BaseModel):
    """``recordings``: id, start and end (Unix) of each file in order. Where there are more than 5,000 in the answer,
    those without a pause between them are told as one, by the first one's id.
    """

    id: str = Field(examples=["str_0123456789abcdef"])
    name: str = Field(description="its id where it is deleted", examples=["Gate"])
    recordings: list[tuple[str, float, float]]


class Timeline(BaseModel):
    """Arrays, since there may be many: the order of their parts is fixed, times in them are Unix seconds.

    ``events``: id, stream_id, track_id, action, start, end (null: goes on), peak confidence, verdict (null: none),
    reviewed, alerted; newest first, those that overlap the span, 10,000 at most; ``left_out`` older ones are not there.
    ``density``: start of a bucket of ``bucket_s``, action, events of it that began then; of all events.
    """

    since: str
    until: str
    timezone: str = Field(examples=["Europe/Berlin"])
    streams: list[TimelineStream]
    events: list[tuple[str, str, int, str, float, float | None, float, str | None, bool, bool]]
    left_out: int
    recordings_left_out: int = Field(description="older ones, which are not told", examples=[0])
    density: list[tuple[int, str, int]]
    bucket_s: int


@router.get("", response_model=Timeline, responses=problems(422))
@needs("events:read")
async def timeline(query: Annotated[TimelineQuery, Query()], here: Here, who: Who) -> Response:
    """Of the streams that whoever asks may see."""
    span = Span(query.since.timestamp(), query.until.timestamp(), query.stream)
    found = await here.review.timeline.read(span, who.visible, reviewer(who))
    body = {
        "since": rfc3339(span.since),
        "until": rfc3339(span.until),
        "timezone": zone_of(query.timezone, here.settings).key,
        "streams": await _streams(here, who, span, found),
        "events": [_event(row) for row in found.events],
        "left_out": found.left_out,
        "recordings_left_out": found.recordings_left_out,
        "density": found.density,
        "bucket_s": span.bucket_s,
    }
    # Checking ten thousand rows that were made here would take longer than reading them.
    return Response(to_json(body), media_type="application/json")


def _event(row: Row) -> Row:
    event_id, stream, track, action, start, end, confidence, *said = row
    times = round(start, 3), None if end is None else round(end, 3)
    return event_id, stream, track, action, *times, round(confidence, 4), *said


async def _streams(here: Context, who: Principal, span: Span, found: TimelineRecord) -> list[dict[str, Any]]:
    """Those that exist, in their order, then deleted ones of which something is left."""
    asked = set(span.streams)
    known = await here.store.all_streams(who.visible)
    names = {each.id: each.name for each in known if not asked or each.id in asked}
    left = sorted({*found.recordings, *(row[1] for row in found.events)} - names.keys())
    names |= {stream_id: stream_id for stream_id in left}
    return [
        {"id": stream_id, "name": name, "recordings": found.recordings.get(stream_id, ())}
        for stream_id, name in names.items()
    ]
