"""A finished recorded file, as the recorder tells of it and the index takes it, and what is needed of such files.

Without media or database library.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Segment:
    """One finished recording. ``started_at`` is Unix time, ``start_s`` the media time of its first frame."""

    path: Path
    events_path: Path | None  # the sidecar
    started_at: float
    start_s: float
    duration_s: float
    frames: int
    bytes: int  # video and sidecar
    size_hw: tuple[int, int]
    overlay: bool = True  # whether boxes and labels are drawn into its pictures
    stream_id: str = ""  # the recorder does not know it; whoever keeps the index does

    @property
    def ended_at(self) -> float:
        return self.started_at + self.duration_s


@dataclass(frozen=True, slots=True)
class Needed:
    """What an incident shows of a stream, Unix times. ``kept``: somebody keeps it, for ever."""

    stream_id: str
    begin: float
    end: float
    kept: bool = False

    def covers(self, segment: Segment) -> bool:
        same = self.stream_id == segment.stream_id
        return same and segment.started_at <= self.end and segment.ended_at >= self.begin
