"""Bodies of the REST API. Requests refuse unknown fields; times of day in answers are RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar
from unicodedata import category

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from pipeline.sources.options import SNAPSHOT_S
from service.storage.records import MAX_PAGE, EventRecord, RecordingRecord, StreamRecord
from service.supervisor_protocol import StreamStatus
from service.wire_messages import rfc3339

T = TypeVar("T")

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
# Letters, numbers, punctuation and symbols leave a trace; of these symbols and letters some do not.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def _visible(name: str) -> str:
    if not any(category(sign)[0] in "LNPS" and sign not in _BLANK for sign in name):
        raise ValueError("expected a name with at least one sign that can be seen")
    return name


Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTABLE), AfterValidator(_visible)]
Threshold = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=200, pattern=_PRINTABLE)]
SnapshotS = Annotated[float, Field(ge=SNAPSHOT_S[0], le=SNAPSHOT_S[1], allow_inf_nan=False)]
TierName = Literal["auto", "full", "light"]
Int64 = Annotated[int, Field(ge=0, le=2**63 - 1)]

STREAM_EXAMPLE: dict[str, Any] = {
    "url": "rtsp://viewer:password@192.0.2.7:554/stream1",
    "name": "Gate",
    "actions": {"push up": 0.5, "squat": 0.6},
    "record": True,
}


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StreamCreate(Request):
    """A camera or file to watch."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [STREAM_EXAMPLE]})

    url: str = Field(max_length=2048, description="rtsp, rtsps, http, https, file, v4l2 or usb URL")
    name: Name | None = Field(None, description="for people; default: the URL's host or file name")
    model: Name | None = Field(None, description="a network of /v1/models; default: the operator's")
    actions: dict[str, Threshold] | None = Field(
        None, max_length=1000, description="watch for these labels only: label → confidence at which an event starts"
    )
    record: bool | None = Field(None, description="record with overlay; default: the operator's")
    transport: Literal["tcp", "udp"] = Field("tcp", description="of RTSP media")
    pace: Literal["fast", "realtime"] = Field("fast", description="files: as fast as possible, or as recorded")
    loop: bool = Field(False, description="files: begin again at the end")
    snapshot_s: SnapshotS = Field(1.0, description="http: seconds between pictures of a camera that sends single ones")
    tier: TierName = Field(
        "auto",
        description="which of the model's networks: its own, the lighter one, or what the machine can afford",
    )


class StreamPatch(Request):
    """What is given changes, the rest stays. A change starts the stream's process anew, but for ``name`` alone."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"record": True}, {"enabled": False}, {"actions": None}]}
    )

    url: str | None = Field(None, max_length=2048)
    name: Name | None = None
    model: Name | None = None
    actions: dict[str, Threshold] | None = Field(None, max_length=1000, description="null: every label")
    record: bool | None = None
    transport: Literal["tcp", "udp"] | None = None
    pace: Literal["fast", "realtime"] | None = None
    loop: bool | None = None
    snapshot_s: SnapshotS | None = None
    tier: TierName | None = None
    enabled: bool | None = Field(None, description="false stops the stream and keeps it")

    @field_validator(
        "url", "name", "model", "record", "transport", "pace", "loop", "snapshot_s", "tier", "enabled", mode="before"
    )
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("expected a value: leave the field out to keep what is there")
        return value


class PageQuery(Request):
    cursor: Text | None = Field(None, description="next_cursor of the page before")
    limit: int = Field(50, ge=1, le=MAX_PAGE, description="items on a page")


class EventQuery(PageQuery):
    stream: list[Text] = Field(default_factory=list, max_length=100, description="stream id; may be repeated")
    action: list[Text] = Field(default_factory=list, max_length=100, description="label; may be repeated")
    track: list[Int64] = Field(default_factory=list, max_length=100, description="track id; may be repeated")
    since: AwareDatetime | None = Field(None, description="started at this time or later (RFC 3339)")
    until: AwareDatetime | None = Field(None, description="started before this time (RFC 3339)")
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="the highest confidence reached is at least this"
    )


class RecordingQuery(PageQuery):
    stream: list[Text] = Field(default_factory=list, max_length=100, description="stream id; may be repeated")
    since: AwareDatetime | None = Field(None, description="ends after this time (RFC 3339)")
    until: AwareDatetime | None = Field(None, description="starts before this time (RFC 3339)")


class Size(BaseModel):
    width: int
    height: int


class Stream(BaseModel):
    """A stream: what was asked for, and how it goes now. Passwords in ``url`` are shown as ``***``."""

    id: str = Field(examples=["str_0123456789abcdef"])
    name: str = Field(examples=["Gate"])
    url: str = Field(examples=["rtsp://viewer:***@192.0.2.7:554/stream1"])
    model: str = Field(examples=["surveillance"])
    actions: dict[str, float] | None
    record: bool
    transport: str = Field(examples=["tcp"])
    pace: str = Field(examples=["fast"])
    loop: bool
    snapshot_s: float = Field(examples=[1.0])
    tier: TierName
    enabled: bool
    created_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    state: Literal["connecting", "running", "reconnecting", "stopped", "failed"]
    code: str | None = Field(description="one word for machines", examples=["unauthorized"])
    reason: str = Field(description="for people", examples=["the camera refuses the user name or password"])
    since: str = Field(description="when the state began", examples=["2026-05-04T03:02:01.123Z"])
    fps_in: float = Field(description="frames decoded a second")
    fps_out: float = Field(description="frames through all stages a second")
    drops: dict[str, int] = Field(description="frames left out, by cause")
    detection_stride: int = Field(description="the detector runs on every n-th frame")
    label_age_ms: int | None = Field(description="age of the oldest label shown for a present person")
    hop_effective: float | None = Field(description="crops between two classified clips, as measured")
    tier_running: Literal["full", "light"] = Field(description="the network that answers now")
    tier_reason: str = Field(
        description="why that one, and what else gives way", examples=["1 cameras, 4 people: 1.3 of 1.6 free cores"]
    )
    clip_hop_s: float = Field(description="media time between two clips of a person that the machine can afford")
    detector_image_size: int = Field(description="side of the detector's input in pixels; 0: as configured")
    clock: Literal["source", "arrival"] = Field(
        description="what media time follows: the source's own time stamps, or the arrival of its pictures"
    )
    clock_reason: str = Field(
        description="why arrival; empty while it is the source", examples=["its time stamps pass 0.2 s in a second"]
    )
    labels: str | None = Field(
        description="why people get no labels; null where they can have them",
        examples=["camera too slow: 0.5 of at least 2 pictures a second"],
    )
    tracks: int = Field(description="people tracked now")
    restarts: int = Field(description="of the stream's process")
    size: Size | None = Field(description="of the picture in pixels")
    recording: Literal["off", "on", "paused"]


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


class Recording(BaseModel):
    """One recorded file with overlay."""

    id: str = Field(examples=["rec_0123456789abcdef"])
    stream_id: str = Field(examples=["str_0123456789abcdef"])
    started_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    ended_at: str = Field(examples=["2026-05-04T03:03:01.123Z"])
    duration_s: float = Field(examples=[60.0])
    start_s: float = Field(description="media time of the first frame", examples=[120.48])
    bytes: int = Field(examples=[4194304])
    frames: int = Field(examples=[1500])
    size: Size
    video: str = Field(description="path of the MP4", examples=["/v1/recordings/rec_0123456789abcdef/video.mp4"])
    events: str | None = Field(description="path of the JSON lines; null where there are none")


class Model(BaseModel):
    """One action network of the weights folder."""

    id: str = Field(examples=["surveillance"])
    name: str = Field(examples=["surveillance"])
    kind: str = Field(description="the architecture", examples=["se-i3d"])
    labels: list[str] = Field(examples=[["abseiling", "air drumming"]])
    metrics: dict[str, float] = Field(description="measured by this project")
    provenance: str
    licence: str
    default: bool = Field(description="used by streams that name none")
    light: str | None = Field(description="the lighter network with the same labels that streams may use instead")
    runtime: str | None = Field(
        description="what it runs on here, and why; null while it is not loaded",
        examples=["OpenVINO 2026.4 bf16 on CPU, 2 threads; chosen on this host: 0.56 of TensorFlow 2.21.0 f32's time"],
    )


class Items(BaseModel, Generic[T]):
    """A page of a list. ``next_cursor`` is null on the last one."""

    items: list[T]
    next_cursor: str | None = Field(examples=["WzE3NzgwMDAwMDAuMCwgInN0cl8wMTIzIl0"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: str


class Readiness(BaseModel):
    status: Literal["ready"] = "ready"
    inference: dict[str, Any] = Field(examples=[{"detector": "yolo26n OpenVINO bf16 640 on CPU"}])


def to_stream(record: StreamRecord, status: StreamStatus) -> Stream:
    asked: Mapping[str, Any] = {name: getattr(record, name) for name in _ASKED}
    now: Mapping[str, Any] = {name: getattr(status, name) for name in _NOW}
    return Stream(
        **asked,
        **now,
        state=status.state.value,
        url=record.url_redacted,
        actions=None if record.actions is None else dict(record.actions),
        created_at=rfc3339(record.created_at),
        since=rfc3339(status.since),
        fps_in=round(status.fps_in, 2),
        fps_out=round(status.fps_out, 2),
        drops=dict(status.drops),
        size=_size(status.size_hw),
    )


_ASKED = ("id", "name", "model", "record", "transport", "pace", "loop", "snapshot_s", "tier", "enabled")
_NOW = (
    *("code", "reason", "detection_stride", "label_age_ms", "hop_effective"),
    *("tracks", "restarts", "recording"),
    *("tier_running", "tier_reason", "clip_hop_s", "detector_image_size"),
    *("clock", "clock_reason", "labels"),
)


def to_event(record: EventRecord) -> Event:
    times = {
        "started_at": rfc3339(record.started_at),
        "updated_at": rfc3339(record.updated_at),
        "ended_at": None if record.ended_at is None else rfc3339(record.ended_at),
    }
    return Event(**{**{name: getattr(record, name) for name in EventRecord.__slots__}, **times})


def to_recording(record: RecordingRecord, root_path: str = "") -> Recording:
    path = f"{root_path}/v1/recordings/{record.id}"
    return Recording(
        id=record.id,
        stream_id=record.stream_id,
        started_at=rfc3339(record.started_at),
        ended_at=rfc3339(record.ended_at),
        duration_s=round(record.duration_s, 3),
        start_s=record.start_s,
        bytes=record.bytes,
        frames=record.frames,
        size=Size(width=record.width, height=record.height),
        video=f"{path}/video.mp4",
        events=None if record.events_path is None else f"{path}/events.jsonl",
    )


def _size(size_hw: tuple[int, int] | None) -> Size | None:
    return None if size_hw is None else Size(width=size_hw[1], height=size_hw[0])
