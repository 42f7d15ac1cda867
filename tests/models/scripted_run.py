"""Videos, annotations and what the pipeline said of them, written by hand: 10 frames a second, boxes of 20×40."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.data.manifest import Split
from models.evaluation.videos.run import ClipRun, EventRun, TrackRun, VideoRun
from models.evaluation.videos.truth import Segment, VideoTruth

LABELS = ("Fighting", "Standing", "Walking")


def box(left: float) -> tuple[float, float, float, float]:
    return (left, 50.0, left + 20, 90.0)


def track(track_id: int, frames: Sequence[int], left: float = 10.0, shown: Sequence[int] | None = None) -> TrackRun:
    labels = tuple(shown or [-1] * len(frames))
    return TrackRun(
        track_id=track_id,
        frames=tuple(frames),
        boxes_xyxy=tuple(box(left) for _ in frames),
        coasting_s=(0.0,) * len(frames),
        shown=labels,
        confidence=tuple(0.0 if label < 0 else 0.9 for label in labels),
    )


def clip(track_id: int, start_s: float, end_s: float, winner: int, chance: float = 0.8) -> ClipRun:
    rest = (1 - chance) / 2
    return ClipRun(
        track_id=track_id,
        start_s=start_s,
        end_s=end_s,
        filled=24,
        provisional=False,
        probabilities=tuple(chance if index == winner else rest for index in range(3)),
    )


def run(
    tracks: Sequence[TrackRun],
    clips: Sequence[ClipRun] = (),
    events: Sequence[EventRun] = (),
    frames: int = 40,
    video: str = "v1",
) -> VideoRun:
    return VideoRun(
        video=video,
        model="m",
        labels=LABELS,
        size_hw=(120, 400),
        frame_numbers=tuple(range(1, frames + 1)),
        times_s=tuple(round(frame / 10, 4) for frame in range(frames)),
        tracks=tuple(tracks),
        clips=tuple(clips),
        events=tuple(events),
    )


def truth(
    segments: Sequence[Segment],
    people: dict[int, tuple[range, float]],
    video: str = "v1",
    group: str = "g1",
    split: Split = Split.VAL,
    label: str = "",
) -> VideoTruth:
    """``people``: id → the frame numbers (from 1) in which the person is seen, and the left edge of the box."""
    boxes = {}
    for number in sorted({frame for frames, _ in people.values() for frame in frames}):
        here = [(person, box(left)) for person, (frames, left) in people.items() if number in frames]
        boxes[number] = (
            np.asarray([person for person, _ in here], np.int64),
            np.asarray([corners for _, corners in here], np.float32),
        )
    return VideoTruth(video, group, split, label, boxes, tuple(segments))
