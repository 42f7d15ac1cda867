"""Bodies of events and of what people say of them. Requests refuse unknown fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.bodies import Int64, PageQuery, Request, Text
from service.local_time.time_of_day import TimeOfDay
from service.routes.times import Moment, Timezone
from service.storage.records import EventRecord
from service.storage.review.records import SeenEvent, VerdictRecord
from service.wire_messages import rfc3339

MAX_IDS = 500  # marked at once
VerdictWord = Literal["right", "wrong", "unsure"]
EventId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
MediaTime = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]


def _span_of_day(text: str) -> str:
    TimeOfDay.parse(text)
    return text


DayTime = Annotated[str, Field(max_length=20), AfterValidator(_span_of_day)]


class EventQuery(PageQuery):
    stream: list[Text] = Field(default_factory=list, max_length=100, description="stream id; may be repeated")
    action: list[Text] = Field(default_factory=list, max_length=100, description="label; may be repeated")
    track: list[Int64] = Field(default_factory=list, max_length=100, description="track id; may be repeated")
    zone: list[Text] = Field(default_factory=list, max_length=100, description="zone's name; may be repeated")
    model: list[Text] = Field(default_factory=list, max_length=100, description="network; may be repeated")
    rule: list[Text] = Field(
        default_factory=list, max_length=100, description="rule id: events of its incidents; may be repeated"
    )
    verdict: list[Literal["right", "wrong", "unsure", "none"]] = Field(
        default_factory=list, max_length=4, description="what stands; may be repeated"
    )
    reviewed: bool | None = Field(None, description="by whoever asks")
    audit_sample: bool | None = Field(None, description="of the audit sample, on which nothing is trained")
    since: Moment | None = Field(None, description="started at this time or later (RFC 3339)")
    until: Moment | None = Field(None, description="started before this time (RFC 3339)")
    time_of_day: DayTime | None = Field(
        None, description="clocks showed such a time at the start, as 22:00-06:00; `timezone` says where"
    )
    timezone: Timezone | None = Field(None, description="IANA name; default: the service's, else UTC")
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="the highest confidence reached is at least this"
    )
    max_confidence: float | None = Field(None, ge=0, le=1, description="… at most this")
    min_duration_s: float | None = Field(None, ge=0, le=1e9, description="it lasted so long at least")
    order: Literal["newest", "review"] = Field(
        "newest", description="review: without verdict first the audit sample, then what only just became an event"
    )


class VerdictRequest(Request):
    """What somebody says of an event; the next version of it. Nothing of earlier ones is lost."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"verdict": "wrong", "label": "squat"}, {"verdict": "right"}]},
    )

    verdict: VerdictWord
    label: Text | None = Field(None, description="what it was; with wrong only, and needed there")
    start_s: MediaTime | None = Field(None, description="media time; default: the event's")
    end_s: MediaTime | None = Field(None, description="media time; default: the event's")


class ReviewedRequest(Request):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reviewed": True}]})

    reviewed: bool


class ManyReviewed(ReviewedRequest):
    """All of them are marked, or none."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"ids": ["evt_0123456789abcdef"], "reviewed": True}]}
    )

    ids: list[EventId] = Field(min_length=1, max_length=MAX_IDS)


class Verdict(BaseModel):
    """``version`` counts from 1; the highest stands. ``by``: the name of whoever said so."""

    id: str = Field(examples=["ver_0123456789abcdef"])
    verdict: VerdictWord
    label: str | None = Field(description="what it was; null: nobody knows", examples=["squat"])
    start_s: float = Field(description="media time in seconds")
    end_s: float = Field(description="media time in seconds")
    by: str = Field(examples=["anna"])
    at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    version: int = Field(examples=[1])


class Event(BaseModel):
    """One action of one person. ``confidence`` is the newest, ``peak_confidence`` the highest."""

    id: str = Field(examples=["evt_0123456789abcdef"])
    stream_id: str = Field(examples=["str_0123456789abcdef"])
    track_id: int = Field(examples=[7])
    action: str = Field(examples=["push up"])
    kind: Literal["started", "updated", "ended"]
    confidence: float = Field(examples=[0.83])
    peak_confidence: float = Field(examples=[0.91])
    start_s: float = Field(description="media time in seconds")
    end_s: float | None = Field(description="media time; null while it goes on")
    started_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    updated_at: str = Field(examples=["2026-05-04T03:02:09.400Z"])
    ended_at: str | None = Field(examples=["2026-05-04T03:02:09.400Z"])
    model: str | None = Field(description="the network behind the newest message", examples=["surveillance"])
    zones: list[str] = Field(description="in which it was seen", examples=[["gate"]])
    verdict: Verdict | None = Field(description="what stands of what people said")
    reviewed: bool = Field(description="by whoever asks")
    audit_sample: bool = Field(description="labelled to measure networks, never to train them")


def to_event(seen: SeenEvent) -> Event:
    record = seen.event
    times = {
        "started_at": rfc3339(record.started_at),
        "updated_at": rfc3339(record.updated_at),
        "ended_at": None if record.ended_at is None else rfc3339(record.ended_at),
    }
    fields: dict[str, Any] = {name: getattr(record, name) for name in EventRecord.__slots__ if name != "audit"}
    said = {"verdict": None if seen.verdict is None else to_verdict(seen.verdict), "reviewed": seen.reviewed}
    return Event(**{**fields, **times, **said, "zones": list(record.zones or ()), "audit_sample": record.audit})


def to_verdict(record: VerdictRecord) -> Verdict:
    fields = {name: getattr(record, name) for name in Verdict.model_fields if name != "at"}
    return Verdict(**fields, at=rfc3339(record.at))
