"""What the API and the part that runs the processes say to each other (``supervisor.ProcessSupervisor``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.errors_base import Unavailable
from service.storage.records import StreamRecord
from service.stream_state import StreamState


class SnapshotUnavailable(Unavailable, TimeoutError):
    """No picture of a stream can be had now; the message says why."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How a stream goes now.

    ``code`` is one word for machines; ``since`` Unix
    time of the last change of state; ``drops`` frames by cause; ``recording`` off, on or paused. ``clock``: what media
    time follows, source or arrival, and why; ``labels``: why people get no labels, None where they can have them.
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


class Supervisor(Protocol):
    """Runs streams. All methods are called on the API's event loop; none blocks it."""

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Ends every process, recordings closed, within 8 s."""

    async def start(self, stream: StreamRecord) -> None: ...

    async def stop(self, stream_id: str) -> None:
        """Returns within 5 s whatever the stream does; unknown ids are no error."""

    async def restart(self, stream_id: str) -> None: ...

    async def update(self, stream: StreamRecord) -> None: ...

    def status(self, stream_id: str) -> StreamStatus: ...

    async def snapshot(self, stream_id: str, timeout_s: float) -> bytes:
        """→ a fresh JPEG with overlay. Raises SnapshotUnavailable."""

    def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        """→ JPEGs with overlay as they come, while somebody iterates."""

    @property
    def ready(self) -> bool:
        """True once the models are loaded."""

    def inference_status(self) -> dict[str, Any]: ...

    def metrics_text(self) -> bytes:
        """→ Prometheus exposition."""
