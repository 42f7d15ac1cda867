"""What the store takes and gives: streams, events and recordings as frozen values, and the filters."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from pipeline.sources.url import shown_url
from service.local_time.time_of_day import TimeOfDay

T = TypeVar("T")

MAX_PAGE = 500
MAX_GROUPS = 16  # of one stream


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One stream as it is stored: what somebody asked for, not how it goes.

    ``url`` holds the full source URL with its password (empty if it cannot be decrypted any more). ``actions`` maps
    labels to thresholds in 0..1; None watches for every label. ``finished_at`` is Unix time when a file had been read
    to its end; it is not played again until somebody asks for it. ``tier``: which of the model's networks, auto, full
    or light. ``groups``: those that a grant may name.
    """

    id: str
    name: str
    url: SecretStr
    model: str
    actions: Mapping[str, float] | None = None
    record: bool | Literal["incidents"] = False  # incidents: what incidents show stays, the rest goes soon
    transport: str = "tcp"
    pace: str = "fast"
    loop: bool = False
    enabled: bool = True
    created_at: float = 0.0  # Unix time
    finished_at: float | None = None
    tier: str = "auto"
    snapshot_s: float = 1.0
    tls_verify: bool = True  # of rtsps and https: whether the certificate must be trusted
    groups: tuple[str, ...] = ()
    record_overlay: bool = False  # boxes and labels are drawn into what is recorded
    record_since: float = 0.0  # Unix time from which on ``record`` is what it is
    exercise: str | None = None  # whose repetitions are counted: one of form.exercises.CHOICES
    form: Mapping[str, Mapping[str, float | None]] | None = None  # thresholds that differ: exercise → name → value

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
    zones: Sequence[str] | None = None  # in which it was seen
    audit: bool = False  # of its camera's audit sample: nothing is trained on it


@dataclass(frozen=True, slots=True)
class RecordingRecord:
    """One recorded file; ``path`` and ``events_path`` are relative to the recordings folder.

    ``place``: local, or s3 where all of it is in the bucket; a local copy may be there all the same.
    """

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
    overlay: bool = True  # boxes and labels are drawn into its pictures
    place: str = "local"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class StreamFilter:
    """Those of a group; None: all."""

    group: str | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Empty means everything. ``since`` and ``until`` (Unix) bound the start: since ≤ started_at < until.

    ``verdicts``: right, wrong, unsure, none. ``reviewed``: by whoever asks. ``rules``: of an incident of one of them.
    ``time_of_day``: in which an event starts, by what clocks in its zone show.
    """

    streams: Sequence[str] = ()
    actions: Sequence[str] = ()
    tracks: Sequence[int] = ()
    zones: Sequence[str] = ()
    since: float | None = None
    until: float | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    min_duration_s: float | None = None
    models: Sequence[str] = ()
    verdicts: Sequence[str] = ()
    rules: Sequence[str] = ()
    reviewed: bool | None = None
    audit: bool | None = None
    time_of_day: tuple[TimeOfDay, ZoneInfo] | None = None


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
