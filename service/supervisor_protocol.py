"""What the API and the part that runs the processes say to each other (``supervisor.ProcessSupervisor``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import SecretStr

from service.errors_base import ServiceError


class SnapshotUnavailable(ServiceError, TimeoutError):
    """No picture of a stream can be had now; the message says why."""


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One stream as it is stored: what somebody asked for, not how it goes.

    ``url`` holds the full source URL with its password (empty if it cannot be decrypted any more), ``url_redacted`` is
    what may be shown. ``actions`` maps labels to thresholds in 0..1; None watches for every label. ``finished_at`` is
    Unix time when a file had been read to its end; it is not played again until somebody asks for it.
    """

    id: str
    name: str
    url: SecretStr
    url_redacted: str
    model: str
    actions: Mapping[str, float] | None = None
    record: bool = False
    transport: str = "tcp"
    pace: str = "fast"
    loop: bool = False
    enabled: bool = True
    created_at: float = 0.0  # Unix time
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How a stream goes now.

    ``state`` is connecting, running, reconnecting, stopped or failed; ``code`` one word for machines; ``since`` Unix
    time of the last change of state; ``drops`` frames by cause; ``recording`` off, on or paused.
    """

    state: str
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
