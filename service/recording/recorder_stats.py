"""What a recorder tells of itself: its state and its counters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class RecorderState(str, Enum):
    IDLE = "idle"
    RECORDING = "recording"
    PAUSED = "paused"
    CLOSED = "closed"


@dataclass(frozen=True)
class RecorderStats:
    """Counters since the start. ``frames_dropped``: the queue was full; ``frames_paused``: came during a pause."""

    state: RecorderState
    problem: str | None
    frames_written: int
    frames_dropped: int
    frames_paused: int
    segments: int
    problems: int
    queue_depth: int

    @property
    def paused(self) -> bool:
        return self.state is RecorderState.PAUSED


@dataclass
class Counts:
    written: int = 0
    dropped: int = 0
    paused: int = 0
    segments: int = 0
    problems: int = 0
