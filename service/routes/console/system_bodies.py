"""The body of ``GET /v1/system``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.bodies import Stream
from service.bucket.standing import Standing
from service.budget.plan import UNLIMITED_HZ, BudgetView
from service.routes.cluster.bodies import Nodes
from service.storage.totals import Recorded
from service.wire_messages import rfc3339


class Work(BaseModel):
    """What one kind of work costs on this machine, as measured."""

    work: str = Field(description="detect:INPUT, clip:NETWORK, feature or pose", examples=["clip:surveillance"])
    cpu_s: float = Field(description="CPU seconds of all its threads", examples=[0.52])
    wall_s: float = Field(description="seconds that its own thread is taken", examples=[0.55])


class Budget(BaseModel):
    """The compute budget: what every stream is given, and the sums behind it."""

    step: int = Field(description="how far down the ladder; 0: nobody gives way", examples=[2])
    steps: int = Field(description="rungs of the ladder", examples=[18])
    tier: Literal["full", "light"]
    hop_s: float = Field(description="media time between two clips of a person", examples=[0.64])
    settled_hop_s: float = Field(description="the same of who stands still with a sure label", examples=[1.28])
    detector_image_size: int = Field(examples=[640])
    detections_per_s: float | None = Field(description="of one stream, at most; null: every picture", examples=[12.5])
    poses_hz: float = Field(description="pictures a second of a stream that are searched for joints", examples=[0.0])
    reason: str = Field(examples=["2 cameras, 5 people: 1.3 of 1.6 free cores"])
    cores: float = Field(description="that this service may use", examples=[2.0])
    taken: float | None = Field(description="cores that everything else takes; null: not known yet", examples=[0.3])
    capacity: float = Field(description="cores for detection and classification", examples=[1.6])
    need: float = Field(description="what the present rung takes of them", examples=[1.3])
    cameras: int
    people: float = Field(description="in view, smoothed", examples=[4.6])
    costs: list[Work]


class Inference(BaseModel):
    ready: bool
    reason: str = Field(examples=["ready"])
    parts: dict[str, str] = Field(
        description="what is loaded, and what it runs on",
        examples=[{"detector": "yolo26n OpenVINO bf16 640 on CPU"}],
    )
    restarts: int


class Disk(BaseModel):
    """Of the data folder. Bytes."""

    free_bytes: int
    size_bytes: int
    min_free_bytes: int = Field(description="below this much recording pauses")


class Retention(BaseModel):
    """How long recordings and incidents stay, as the operator set it."""

    max_age_days: float
    max_gb: float
    incidents_max_age_days: float
    incidents_max_gb: float
    problem: str = Field(description="what goes wrong with the room there is; empty: nothing")


class Bucket(BaseModel):
    """Where recordings go as well, and what is still to be done there."""

    place: str = Field(examples=["s3://cameras/site"])
    waiting: int = Field(description="files that are not there yet")
    waiting_bytes: int
    oldest_s: float = Field(description="how long the file that waits longest does", examples=[4.2])
    deletions: int = Field(description="objects that are to go")
    missing: int = Field(description="files that were there, are not, and are nowhere else")
    compared_at: str | None = Field(description="when it was last held against the index; null: not since the start")
    problem: str = Field(description="what goes wrong; empty: nothing")


class Database(BaseModel):
    kind: Literal["sqlite", "postgresql"]
    bytes: int


class Machine(BaseModel):
    """What is not about one stream: for those who see all of them."""

    python: str = Field(examples=["3.11.2"])
    subscribers: int = Field(description="websockets that are open")
    budget: Budget | None = Field(description="null before the inference process has told of it")
    inference: Inference
    disk: Disk | None = Field(description="null where the disk cannot be asked")
    retention: Retention
    bucket: Bucket | None = Field(description="null: recordings are on this disk alone")
    database: Database
    queues: dict[str, float] = Field(
        description="what waits now; names as in /metrics", examples=[{"inference_clip_queue_depth": 2}]
    )
    counters: dict[str, float] = Field(
        description="since the service started; those that are not 0", examples=[{"messages_total": 1200}]
    )
    cluster: Nodes | None = Field(None, description="null for a service of one machine")


class RecordedOf(BaseModel):
    """What is recorded of one stream, also of one that is deleted."""

    stream_id: str = Field(examples=["str_0123456789abcdef"])
    files: int
    bytes: int
    oldest_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    newest_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])


class System(BaseModel):
    """How the whole service does, as far as whoever asks may know it."""

    version: str
    started_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    streams: list[Stream]
    recorded: list[RecordedOf]
    incidents: int
    incidents_kept: int = Field(description="those that retention never removes")
    machine: Machine | None = Field(description="null for those who do not see all streams")


def to_budget(view: BudgetView) -> Budget:
    plan = view.plan
    return Budget(
        step=view.step,
        steps=view.steps,
        tier=plan.tier.value,
        hop_s=plan.hop_s,
        settled_hop_s=plan.settled_hop_s,
        detector_image_size=plan.image_size,
        detections_per_s=plan.detections_per_s if plan.detections_per_s < UNLIMITED_HZ else None,
        poses_hz=plan.poses_hz,
        reason=plan.reason,
        cores=view.cores,
        taken=view.taken,
        capacity=round(view.capacity, 3),
        need=round(view.need, 3),
        cameras=view.cameras,
        people=round(view.people, 1),
        costs=[Work(work=name, cpu_s=cost.cpu_s, wall_s=cost.wall_s) for name, cost in sorted(view.costs.items())],
    )


def to_bucket(standing: Standing) -> Bucket:
    waiting = standing.waiting
    return Bucket(
        place=standing.place,
        waiting=waiting.files,
        waiting_bytes=waiting.bytes,
        oldest_s=round(standing.oldest_s, 1),
        deletions=waiting.deletions,
        missing=waiting.missing,
        compared_at=None if standing.compared_at is None else rfc3339(standing.compared_at),
        problem=standing.problem,
    )


def to_recorded(recorded: Recorded) -> RecordedOf:
    return RecordedOf(
        stream_id=recorded.stream_id,
        files=recorded.files,
        bytes=recorded.bytes,
        oldest_at=rfc3339(recorded.oldest),
        newest_at=rfc3339(recorded.newest),
    )
