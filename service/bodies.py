"""Bodies of the REST API. Requests refuse unknown fields; times of day in answers are RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar
from unicodedata import category

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from pipeline.entities import Zone
from pipeline.sources.options import SNAPSHOT_S
from pipeline.zones import MAX_ZONES, check_names, check_polygon
from service.rights import EVERYTHING, Principal
from service.storage.records import MAX_GROUPS, MAX_PAGE, RecordingRecord, StreamRecord
from service.supervisor_protocol import StreamStatus
from service.wire_messages import rfc3339, without_places

T = TypeVar("T")

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
# Letters, numbers, punctuation and symbols leave a trace; of these symbols and letters some do not.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def _visible(name: str) -> str:
    if not any(category(sign)[0] in "LNPS" and sign not in _BLANK for sign in name):
        raise ValueError("expected a name with at least one sign that can be seen")
    return name


def _groups(names: list[str]) -> list[str]:
    if EVERYTHING in names:
        raise ValueError(f"expected other names than {EVERYTHING}, which stands for all streams")
    return list(dict.fromkeys(names))


Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTABLE), AfterValidator(_visible)]
Threshold = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=200, pattern=_PRINTABLE)]
SnapshotS = Annotated[float, Field(ge=SNAPSHOT_S[0], le=SNAPSHOT_S[1], allow_inf_nan=False)]
Groups = Annotated[list[Name], Field(max_length=MAX_GROUPS), AfterValidator(_groups)]
TierName = Literal["auto", "full", "light"]
RecordMode = bool | Literal["incidents"]
RECORD = "whether the stream is recorded; `incidents`: what incidents show stays, of the rest the last ten minutes"
ExerciseName = Literal["squat", "push-up", "pull-up", "auto"]
FormThresholds = Annotated[dict[Text, dict[Text, float | None]], Field(max_length=8)]
Int64 = Annotated[int, Field(ge=0, le=2**63 - 1)]

STREAM_EXAMPLE: dict[str, Any] = {
    "url": "rtsp://viewer:password@192.0.2.7:554/stream1",
    "name": "Gate",
    "actions": {"push up": 0.5, "squat": 0.6},
    "record": True,
}
ZONES_EXAMPLE: dict[str, Any] = {
    "zones": [{"name": "gate", "polygon": [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0], [0.1, 1.0]]}],
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
    record: RecordMode | None = Field(None, description=f"{RECORD}; default: the operator's")
    record_overlay: bool | None = Field(None, description="draw boxes and labels into it; default: the operator's")
    transport: Literal["tcp", "udp"] = Field("tcp", description="of RTSP media")
    pace: Literal["fast", "realtime"] = Field("fast", description="files: as fast as possible, or as recorded")
    loop: bool = Field(False, description="files: begin again at the end")
    snapshot_s: SnapshotS = Field(1.0, description="http: seconds between pictures of a camera that sends single ones")
    tls_verify: bool = Field(
        True,
        description="rtsps, https: whether the camera's certificate must be trusted; false: anybody may pose as it",
    )
    tier: TierName = Field(
        "auto",
        description="which of the model's networks: its own, the lighter one, or what the machine can afford",
    )
    groups: Groups = Field(default_factory=list, description="rights may be granted on a group: group:NAME")
    exercise: ExerciseName | None = Field(
        None, description="count repetitions of it; auto: of what each person's label names. Needs a pose network"
    )
    form: FormThresholds | None = Field(None, description="thresholds that differ: exercise → name → value")


class StreamPatch(Request):
    """What is given changes, the rest stays. A change starts the stream's process anew, but of ``name``, ``groups``."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"record": True}, {"enabled": False}, {"actions": None}]}
    )

    url: str | None = Field(None, max_length=2048)
    name: Name | None = None
    model: Name | None = None
    actions: dict[str, Threshold] | None = Field(None, max_length=1000, description="null: every label")
    record: RecordMode | None = Field(None, description=RECORD)
    record_overlay: bool | None = None
    transport: Literal["tcp", "udp"] | None = None
    pace: Literal["fast", "realtime"] | None = None
    loop: bool | None = None
    snapshot_s: SnapshotS | None = None
    tls_verify: bool | None = None
    tier: TierName | None = None
    groups: Groups | None = Field(None, description="all of them; []: none")
    exercise: ExerciseName | None = Field(None, description="null: nobody's exercises are counted")
    form: FormThresholds | None = Field(None, description="null: the usual thresholds")
    enabled: bool | None = Field(None, description="false stops the stream and keeps it")

    @field_validator(
        *("url", "name", "model", "record", "record_overlay", "transport", "pace", "loop", "snapshot_s", "tls_verify"),
        *("tier", "groups", "enabled"),
        mode="before",
    )
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("expected a value: leave the field out to keep what is there")
        return value


class ZoneBody(Request):
    """A polygon with a name; the last point joins the first."""

    name: Name
    polygon: Annotated[tuple[tuple[float, float], ...], AfterValidator(check_polygon)] = Field(
        description="3 to 32 points x, y in 0..1 of the picture's width and height; its edges must not cross"
    )


class Zones(Request):
    """All zones of one stream."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [ZONES_EXAMPLE]})

    zones: list[ZoneBody] = Field(max_length=MAX_ZONES, description="names differ in more than case")

    @field_validator("zones")
    @classmethod
    def _different(cls, zones: list[ZoneBody]) -> list[ZoneBody]:
        check_names([zone.name for zone in zones])
        return zones

    @classmethod
    def of(cls, zones: Sequence[Zone]) -> Zones:
        return cls(zones=[ZoneBody(name=zone.name, polygon=zone.polygon) for zone in zones])

    def entities(self) -> tuple[Zone, ...]:
        return tuple(Zone(zone.name, zone.polygon) for zone in self.zones)


class PageQuery(Request):
    cursor: Text | None = Field(None, description="next_cursor of the page before")
    limit: int = Field(50, ge=1, le=MAX_PAGE, description="items on a page")


class StreamQuery(PageQuery):
    group: Text | None = Field(None, description="those of this group")


class RecordingQuery(PageQuery):
    stream: list[Text] = Field(default_factory=list, max_length=100, description="stream id; may be repeated")
    since: AwareDatetime | None = Field(None, description="ends after this time (RFC 3339)")
    until: AwareDatetime | None = Field(None, description="starts before this time (RFC 3339)")


class MediaKeysRotation(Request):
    revoke: bool = Field(True, description="end all links made so far; false: they work until they expire")


class Size(BaseModel):
    width: int
    height: int


class Stream(BaseModel):
    """A stream: what was asked for, and how it goes now. Passwords in ``url`` are shown as ``***``.

    Who may not change the stream does not get its URL nor the camera's place in ``reason``; who does not see all
    streams does not get what the machine gives to each.
    """

    id: str = Field(examples=["str_0123456789abcdef"])
    name: str = Field(examples=["Gate"])
    url: str | None = Field(
        description="null for those who may not change it", examples=["rtsp://viewer:***@192.0.2.7:554/stream1"]
    )
    model: str = Field(examples=["surveillance"])
    actions: dict[str, float] | None
    record: RecordMode = Field(description=RECORD)
    record_overlay: bool = Field(description="boxes and labels are drawn into what is recorded")
    transport: str = Field(examples=["tcp"])
    pace: str = Field(examples=["fast"])
    loop: bool
    snapshot_s: float = Field(examples=[1.0])
    tls_verify: bool
    tier: TierName
    groups: list[str] = Field(examples=[["yard"]])
    exercise: str | None = Field(examples=[None])
    form: Mapping[str, Mapping[str, float | None]] | None = Field(examples=[None])
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
    version: str = Field(description="of its model, that answers now; empty until known", examples=["surveillance@2"])
    tier_running: Literal["full", "light"] = Field(description="the network that answers now")
    tier_reason: str = Field(
        description="why that one, and what else gives way; empty for those who do not see all streams",
        examples=["1 cameras, 4 people: 1.3 of 1.6 free cores"],
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
    poses_hz: float = Field(description="pictures a second searched for joints; 0: exercises are not counted")
    no_poses: str | None = Field(description="why they are not, where the stream asks for it")
    tracks: int = Field(description="people tracked now")
    restarts: int = Field(description="of the stream's process")
    size: Size | None = Field(description="of the picture in pixels")
    recording: Literal["off", "on", "paused"]


class Recording(BaseModel):
    """One recorded file."""

    id: str = Field(examples=["rec_0123456789abcdef"])
    stream_id: str = Field(examples=["str_0123456789abcdef"])
    started_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    ended_at: str = Field(examples=["2026-05-04T03:03:01.123Z"])
    duration_s: float = Field(examples=[60.0])
    start_s: float = Field(description="media time of the first frame", examples=[120.48])
    bytes: int = Field(examples=[4194304])
    frames: int = Field(examples=[1500])
    size: Size
    overlay: bool = Field(description="whether boxes and labels are drawn into its pictures")
    video: str = Field(description="path of the MP4", examples=["/v1/recordings/rec_0123456789abcdef/video.mp4"])
    events: str | None = Field(description="path of the JSON lines; null where there are none")
    place: Literal["local", "s3"] = Field(description="s3: all of it is in the bucket, a copy may still be here")


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
    bucket: str | None = Field(None, description="ok, or what waits for it; null: recordings go to none")


def to_stream(record: StreamRecord, status: StreamStatus, who: Principal) -> Stream:
    """The stream as this principal may know it."""
    may_write = who.may("streams:write", record.id)
    asked: Mapping[str, Any] = {name: getattr(record, name) for name in _ASKED}
    now: Mapping[str, Any] = {name: getattr(status, name) for name in _NOW}
    return Stream(
        **asked,
        **now,
        reason=status.reason if may_write else without_places(status.reason),
        state=status.state.value,
        url=record.url_redacted if may_write else None,
        tier_reason=status.tier_reason if who.visible.streams is None else "",
        groups=list(record.groups),
        exercise=record.exercise,
        form=record.form,
        no_poses=without_places(status.no_poses) if status.no_poses and not may_write else status.no_poses,
        actions=None if record.actions is None else dict(record.actions),
        created_at=rfc3339(record.created_at),
        since=rfc3339(status.since),
        fps_in=round(status.fps_in, 2),
        fps_out=round(status.fps_out, 2),
        drops=dict(status.drops),
        size=_size(status.size_hw),
    )


_ASKED = (
    *("id", "name", "model", "record", "record_overlay", "transport", "pace", "loop"),
    *("snapshot_s", "tls_verify", "tier", "enabled"),
)
_NOW = (
    *("code", "detection_stride", "label_age_ms", "hop_effective"),
    *("tracks", "restarts", "recording"),
    *("tier_running", "clip_hop_s", "detector_image_size"),
    *("clock", "clock_reason", "labels", "poses_hz", "version"),
)


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
        overlay=record.overlay,
        video=f"{path}/video.mp4",
        events=None if record.events_path is None else f"{path}/events.jsonl",
        place="local" if record.place == "local" else "s3",
    )


def _size(size_hw: tuple[int, int] | None) -> Size | None:
    return None if size_hw is None else Size(width=size_hw[1], height=size_hw[0])
