"""What the store takes and gives: streams, events and recordings as frozen values, and the filters."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import SecretStr

from pipeline.sources.url import shown_url

T = TypeVar("T")

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One stream as it is stored: what somebody asked for, not how it goes.

    ``url`` holds the full source URL with its password (empty if it cannot be decrypted any more). ``actions`` maps
    labels to thresholds in 0..1; None watches for every label. ``finished_at`` is Unix time when a file had been read
    to its end; it is not played again until somebody asks for it. ``tier``: which of the model's networks, auto, full
    or light.
    """

    id: str
    name: str
    url: SecretStr
    model: str
    actions: Mapping[str, float] | None = None
    record: bool = False
    transport: str = "tcp"
    pace: str = "fast"
    loop: bool = False
    enabled: bool = True
    created_at: float = 0.0  # Unix time
    finished_at: float | None = None
    tier: str = "auto"
    snapshot_s: float = 1.0

    @property
    def url_redacted(self) -> str:
        """What may be shown of the URL; ``***`` where it cannot be decrypted."""
        return shown_url(self.url.get_secret_value())


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One action of one person. Times of day are Unix seconds; ``ended_at`` is None while the action goes on."""

    id: str
    stream_id: str
    track_id: int
    action: str
    kind: str
    confidence: float
    peak_confidence: float
    start_s: float
    end_s: float | None
    started_at: float
    updated_at: float
    ended_at: float | None
    model: str | None = None  # the network behind the newest message; None: stored by an older version


@dataclass(frozen=True, slots=True)
class RecordingRecord:
    """One recorded file; ``path`` and ``events_path`` are relative to the recordings folder."""

    id: str
    stream_id: str
    path: str
    events_path: str | None
    started_at: float
    ended_at: float
    start_s: float
    duration_s: float
    bytes: int  # video and sidecar
    frames: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Empty means everything. ``since`` and ``until`` (Unix) bound the start: since ≤ started_at < until."""

    streams: Sequence[str] = ()
    actions: Sequence[str] = ()
    tracks: Sequence[int] = ()
    since: float | None = None
    until: float | None = None
    min_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class RecordingFilter:
    """A recording passes when it overlaps the time from ``since`` to ``until`` (Unix)."""

    streams: Sequence[str] = ()
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: after the row with this time and id."""

    time: float
    id: str

    def encode(self) -> str:
        return base64.urlsafe_b64encode(json.dumps([self.time, self.id]).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Raises ValueError for anything that ``encode`` did not make."""
        try:
            content: Any = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, ValueError):
            content = None
        match content:
            case [int() | float() as time, str() as row_id] if not isinstance(time, bool) and abs(time) < 1e12:
                return cls(float(time), row_id)
        raise ValueError("expected a next_cursor of an earlier answer")
