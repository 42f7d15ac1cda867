"""Bodies of exported cases."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.bodies import Int64, Name, PageQuery, Request
from service.exports.desk import Standing
from service.routes.times import Moment
from service.storage.review.exports import ExportRecord
from service.wire_messages import rfc3339

MOST_STREAMS = 64
MOST_KEPT = 1000
MOST_AROUND_S = 600.0

StreamIdText = Annotated[str, StringConstraints(pattern=r"^str_[0-9a-f]{16}$")]
IncidentIdText = Annotated[str, StringConstraints(pattern=r"^inc_[0-9a-f]{16}$")]
EventIdText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
Around = Annotated[float, Field(ge=0, le=MOST_AROUND_S, allow_inf_nan=False)]

EXAMPLES: list[Any] = [
    {
        "name": "Fight at the gate",
        "streams": ["str_0123456789abcdef"],
        "since": "2026-05-04T03:02:00Z",
        "until": "2026-05-04T03:04:00Z",
        "overlay": True,
    },
    {"incident": "inc_0123456789abcdef", "seconds_around": 10, "pixelate_others": True},
]


class ExportCreate(Request):
    """What is to be in the case: a span of time of cameras, or an incident or an event with seconds around it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": EXAMPLES})

    name: Name | None = Field(None, description="for people; default: what it shows")
    streams: list[StreamIdText] | None = Field(None, min_length=1, max_length=MOST_STREAMS)
    since: Moment | None = Field(None, description="RFC 3339; with `streams`")
    until: Moment | None = Field(None, description="RFC 3339, not in the future; a week after `since` at most")
    incident: IncidentIdText | None = Field(None, description="instead of `streams`, `since` and `until`")
    event: EventIdText | None = Field(None, description="likewise")
    seconds_around: Around = Field(5.0, description="before and after the incident or event")
    overlay: bool = Field(False, description="draw boxes and labels into the videos")
    pixelate_others: bool = Field(
        False, description="make everybody unreadable but `keep_tracks` and the people of the incident or event"
    )
    keep_tracks: list[tuple[StreamIdText, Int64]] = Field(
        default_factory=list, max_length=MOST_KEPT, description="[stream id, track id] of people who stay as they are"
    )
    cvat: bool = Field(False, description="boxes and actions as CVAT XML besides")

    @model_validator(mode="after")
    def _one_of_three(self) -> ExportCreate:
        span = (self.streams, self.since, self.until)
        named = [each for each in (self.incident, self.event) if each is not None]
        if len(named) == 1 and all(each is None for each in span):
            return self
        if not named and all(each is not None for each in span):
            return self
        raise ValueError("expected `streams` with `since` and `until`, or `incident`, or `event`")

    @model_validator(mode="after")
    def _each_once(self) -> ExportCreate:
        if self.streams is not None and len(set(self.streams)) < len(self.streams):
            raise ValueError("expected every stream once")
        return self


class ExportQuery(PageQuery):
    """A page of cases."""


class Export(BaseModel):
    """One case. ``file`` is there once it is ``done``."""

    id: str = Field(examples=["exp_0123456789abcdef"])
    name: str = Field(examples=["Fight at the gate"])
    state: Literal["queued", "running", "done", "failed"]
    progress: float = Field(description="0..1", examples=[0.4])
    eta_s: float | None = Field(description="seconds until it is done; null while nobody knows", examples=[12.5])
    reason: str = Field(description="why it failed, or what it waits for")
    created_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    ended_at: str | None
    by: str = Field(description="who asked for it", examples=["nina"])
    since: str = Field(examples=["2026-05-04T03:02:00.000Z"])
    until: str = Field(examples=["2026-05-04T03:04:00.000Z"])
    streams: list[str] = Field(examples=[["str_0123456789abcdef"]])
    overlay: bool
    pixelate_others: bool
    cvat: bool
    bytes: int | None
    sha256: str | None = Field(description="of the ZIP; the audit has it as well")
    file: str | None = Field(description="path of the ZIP", examples=["/v1/exports/exp_0123456789abcdef/case.zip"])


def to_export(record: ExportRecord, standing: Standing, root_path: str = "") -> Export:
    return Export(
        **{name: getattr(record, name) for name in _SAME},
        progress=standing.progress,
        eta_s=standing.eta_s,
        created_at=rfc3339(record.created_at),
        ended_at=None if record.ended_at is None else rfc3339(record.ended_at),
        by=record.made_by,
        since=rfc3339(record.since),
        until=rfc3339(record.until),
        streams=list(record.stream_ids),
        file=f"{root_path}/v1/exports/{record.id}/case.zip" if record.state == "done" else None,
    )


_SAME = ("id", "name", "state", "reason", "overlay", "pixelate_others", "cvat", "bytes", "sha256")
