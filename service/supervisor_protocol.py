"""What the API and the part that runs the processes say to each other (``supervisor.ProcessSupervisor``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.entities import Zone
from service.budget.plan import BudgetView
from service.errors_base import Unavailable
from service.storage.records import StreamRecord
from service.storage.segment import Segment
from service.stream_state import StreamState
from service.versions.tally import ShadowTally

OnTally = Callable[[str, ShadowTally], Awaitable[None]]  # the stream's id first


class SnapshotUnavailable(Unavailable, TimeoutError):
    """No picture of a stream can be had now; the message says why."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How a stream goes now.

    ``code`` is one word for machines; ``since`` Unix
    time of the last change of state; ``drops`` frames by cause; ``recording`` off, on or paused. ``clock``: what media
    time follows, source or arrival, and why; ``labels``: why people get no labels, None where they can have them.
    ``poses_hz``: of how many pictures a second joints are looked for; ``no_poses``: why of none, where they are wanted.
    ``version``: of its model, that it works with; empty until its process says so.
    """

    state: StreamState
    code: str | None
    reason: str
    since: float
    fps_in: float = 0.0
    fps_out: float = 0.0
    drops: Mapping[str, int] = field(default_factory=dict)
    detection_stride: int = 1
    label_age_ms: int | None = None
    hop_effective: float | None = None
    tracks: int = 0
    restarts: int = 0
    size_hw: tuple[int, int] | None = None
    recording: str = "off"
    tier_running: str = "full"
    tier_reason: str = ""
    clip_hop_s: float = 0.0
    detector_image_size: int = 0
    clock: str = "source"
    clock_reason: str = ""
    labels: str | None = None
    poses_hz: float = 0.0
    no_poses: str | None = None
    version: str = ""


class Models(Protocol):
    """Versions of models in what runs (``processes.model_switch.ModelSwitch``)."""

    on_tally: OnTally  # called with what a stream counted of a trial
    on_shadow_failed: Callable[[str, str], None]  # alias and why; called when a version cannot be tried
    on_broken: Callable[[str, str], None]  # version and why; called when the default model's one keeps all from running

    async def load(self, alias: str, version: str) -> None:
        """Loads a version beside the one that serves. Raises Unavailable, CardError."""

    async def make_way(self) -> None:
        """Returns, within seconds, once a load whose caller was cancelled is over; what loads for ever is ended."""

    async def follow(self, alias: str) -> float:
        """Streams of this alias go on with what its pointer says now → how long the last one took, seconds."""


@dataclass(frozen=True, slots=True)
class LivePicture:
    """One frame as JPEG without overlay, and the websocket's ``tracks`` message about it."""

    jpeg: bytes
    tracks: Mapping[str, Any]


class Outlet(Protocol):
    """Where goes what streams say: the hub, or on a cluster's node what keeps it until the leader has it."""

    async def publish_tracks(self, message: Mapping[str, Any]) -> None: ...

    async def publish_action(self, message: Mapping[str, Any]) -> None: ...

    async def publish_repetition(self, message: Mapping[str, Any]) -> None: ...

    async def publish_presence(self, message: Mapping[str, Any]) -> None: ...

    async def publish_stream(self, message: Mapping[str, Any]) -> None: ...

    async def end_open_events(self, stream_id: str) -> None: ...

    def measures(self) -> dict[str, Any]: ...


class ZonesOf(Protocol):
    async def of(self, stream_id: str) -> tuple[Zone, ...]: ...


class Memory(Protocol):
    """What is to be known of a stream before it runs, and where its recordings are told of: the store, or on a node
    what it was ordered. Methods may raise StoreError."""

    @property
    def zones(self) -> ZonesOf: ...

    async def last_track_id(self, stream_id: str) -> int: ...

    async def add_recording(self, segment: Segment) -> object: ...


class Supervisor(Protocol):
    """Runs streams. All methods are called on the API's event loop; none blocks it."""

    @property
    def models(self) -> Models: ...

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Ends every process, recordings closed, within 8 s."""

    async def start(self, stream: StreamRecord) -> None: ...

    async def stop(self, stream_id: str) -> None:
        """Returns within 5 s whatever the stream does; unknown ids are no error."""

    async def restart(self, stream_id: str) -> None: ...

    async def update(self, stream: StreamRecord) -> None: ...

    async def set_zones(self, stream_id: str, zones: tuple[Zone, ...]) -> None:
        """What is stored of a stream's zones has changed; one that runs goes on with these."""

    def status(self, stream_id: str) -> StreamStatus: ...

    async def snapshot(self, stream_id: str, timeout_s: float, overlay: bool = True) -> bytes:
        """→ a fresh JPEG, with overlay or as it came. Raises SnapshotUnavailable."""

    def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        """→ JPEGs with overlay as they come, while somebody iterates."""

    def live(self, stream_id: str, full: bool) -> AsyncIterator[LivePicture]:
        """→ frames without overlay as they come, while somebody iterates; a stopped stream may start again.

        ``full``: large and often, else as one tile of many needs them.
        """

    @property
    def ready(self) -> bool:
        """True once the models are loaded."""

    def inference_status(self) -> dict[str, Any]: ...

    def inference_measures(self) -> Mapping[str, Any]:
        """→ the worker's newest ``Measures.snapshot``; empty before it has told one."""

    def budget(self) -> BudgetView | None:
        """→ what the compute budget does now; None before the worker has told."""

    def metrics_text(self) -> bytes:
        """→ Prometheus exposition."""
