"""What the service's smoother makes of recorded answers: falls found, how late, and false ones by the hour."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.figures.bootstrap import poisson_interval
from models.evaluation.videos.run import ClipRun, EventRun, TrackRun, VideoRun
from models.evaluation.videos.scores import shown_scores
from pipeline.actions import SmootherConfig

FALLING = "Falling"
LATE_S = 2.5  # behind the end of a fall, an event still is about it: a clip shows as much of the past
Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fall:
    """A fall of a video, from where balance is lost to where the body is at rest, in seconds."""

    start_s: float
    end_s: float

    def is_told_by(self, event: EventRun) -> bool:
        return self.start_s <= event.start_s <= self.end_s + LATE_S


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one video, or of several together. ``delays_s``: of falls that were found, from their start to the event."""

    falls: int = 0
    found: int = 0
    false: int = 0
    seconds: float = 0.0
    delays_s: tuple[float, ...] = ()

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.falls + other.falls,
            self.found + other.found,
            self.false + other.false,
            self.seconds + other.seconds,
            self.delays_s + other.delays_s,
        )

    @property
    def f1(self) -> float:
        return 2 * self.found / max(1, self.falls + self.found + self.false)

    @property
    def false_per_hour(self) -> float:
        return self.false / self.seconds * 3600 if self.seconds else math.nan


def read_falls(path: Path) -> dict[str, list[Fall]]:
    """clip,start_s,end_s → the falls of each video."""
    found: dict[str, list[Fall]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["clip"], []).append(Fall(float(row["start_s"]), float(row["end_s"])))
    return found


def run_of(video: str, arrays: Arrays, tier: str, labels: Sequence[str], probabilities: Floats) -> VideoRun:
    """What was recorded of ``video``, with (N, C) ``probabilities`` as the answers to the clips of ``tier``."""
    return VideoRun(
        video=video,
        model=tier,
        labels=tuple(labels),
        size_hw=(1, 1),  # nothing here depends on it
        frame_numbers=tuple(range(1, len(arrays["times_s"]) + 1)),
        times_s=tuple(arrays["times_s"].tolist()),
        tracks=tuple(_tracks(arrays["boxes"])),
        clips=tuple(_clips(arrays, tier, probabilities)),
        events=(),
    )


def _tracks(rows: NDArray[np.float32]) -> Iterable[TrackRun]:
    """(N, 7): frame, track, four corners, coasting_s."""
    for track_id in np.unique(rows[:, 1]).astype(int).tolist():
        own = rows[rows[:, 1] == track_id]
        yield TrackRun(
            track_id=track_id,
            frames=tuple(own[:, 0].astype(int).tolist()),
            boxes_xyxy=tuple(tuple(box) for box in own[:, 2:6].tolist()),
            coasting_s=tuple(own[:, 6].tolist()),
            shown=(-1,) * len(own),
            confidence=(0.0,) * len(own),
        )


def _clips(arrays: Arrays, tier: str, probabilities: Floats) -> Iterable[ClipRun]:
    for row, chances in enumerate(probabilities.tolist()):
        yield ClipRun(
            track_id=int(arrays[f"{tier}.track_id"][row]),
            start_s=float(arrays[f"{tier}.start_s"][row]),
            end_s=float(arrays[f"{tier}.end_s"][row]),
            filled=int(arrays[f"{tier}.filled"][row]),
            provisional=bool(arrays[f"{tier}.provisional"][row]),
            probabilities=tuple(chances),
        )


def judged(run: VideoRun, falls: Sequence[Fall], smoother: SmootherConfig) -> Counts:
    """Each fall is found once; further events about it are neither found nor false, as one alarm is enough."""
    told = [event for event in shown_scores(run, smoother).events if event.action == FALLING]
    first = [min((e.start_s for e in told if fall.is_told_by(e)), default=math.nan) for fall in falls]
    delays = [
        start_s + smoother.min_duration_s - fall.start_s
        for fall, start_s in zip(falls, first, strict=True)
        if not math.isnan(start_s)
    ]
    false = sum(not any(fall.is_told_by(event) for fall in falls) for event in told)
    return Counts(len(falls), len(delays), false, run.times_s[-1] if run.times_s else 0.0, tuple(delays))


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """→ the 95 % interval of a share (Wilson 1927)."""
    if of == 0:
        return 0.0, 1.0
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def poisson_upper(events: int, hours: float) -> float:
    """→ the rate an hour that is exceeded with 2.5 % chance only (exact)."""
    return poisson_interval(events)[1] / hours
