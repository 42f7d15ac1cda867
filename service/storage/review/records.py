"""Verdicts as values, and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.storage.records import EventRecord

RIGHT, WRONG, UNSURE, NONE = "right", "wrong", "unsure", "none"


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """What somebody says that one person did, ``version`` of it. ``…_s`` is media time, ``…_at`` and ``at`` Unix time.

    ``said``: the event's action. ``label``: what it was, None where nobody knows. ``clip``: pending, stored or none,
    which ``clip_reason`` explains. ``group``: stream and incident, or stream and event: what must not be torn apart.
    """

    id: str
    event_id: str
    version: int
    superseded_by: str | None
    stream_id: str
    stream_name: str
    track_id: int
    verdict: str
    label: str | None
    said: str
    start_s: float
    end_s: float
    started_at: float
    ended_at: float
    by_id: str
    by: str
    at: float
    model: str | None
    split: str
    near_threshold: bool
    group: str
    clip: str = "pending"
    clip_reason: str = ""
    sha256: str | None = None

    def says_like(self, other: VerdictRecord) -> bool:
        """Whether the same person says the same of the same time."""
        return all(getattr(self, name) == getattr(other, name) for name in _SAYING)


_SAYING = ("event_id", "verdict", "label", "start_s", "end_s", "by_id")


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event, its newest verdict, and whether whoever asks has reviewed it."""

    event: EventRecord
    verdict: VerdictRecord | None = None
    reviewed: bool = False


@dataclass(frozen=True, slots=True)
class CorrectionFilter:
    """Empty means everything."""

    streams: Sequence[str] = ()
    labels: Sequence[str] = ()
    splits: Sequence[str] = ()
    clips: Sequence[str] = ()
