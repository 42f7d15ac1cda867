"""A finished recorded file, as the recorder tells of it and the index takes it; without media or database library."""

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
    stream_id: str = ""  # the recorder does not know it; whoever keeps the index does

    @property
    def ended_at(self) -> float:
        return self.started_at + self.duration_s
