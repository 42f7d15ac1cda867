"""Who is who: the pipeline's tracks against annotated people, frame by frame.

In every frame boxes are assigned one to one so that the sum of their overlaps is greatest (Hungarian method), pairs
below the least overlap excluded. As in CLEAR MOT (Bernardin & Stiefelhagen 2008), a pair that held in the frame
before is kept while it overlaps enough: two people who cross do not swap for a few pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.evaluation.videos.run import VideoRun
from models.evaluation.videos.truth import VideoTruth
from pipeline.geometry import Boxes, pairwise_iou

IOU = 0.5
_KEEP = 10.0  # more than any sum of overlaps that a kept pair could lose for its two neighbours


@dataclass(frozen=True, slots=True)
class Match:
    """In frame ``frame`` (index into the run's ``times_s``) person ``truth_id`` is the pipeline's ``track_id``."""

    frame: int
    truth_id: int
    track_id: int
    iou: float


def match_tracks(truth: VideoTruth, run: VideoRun, iou: float = IOU) -> list[Match]:
    """All pairs of all frames, in order."""
    reported = _reported(run)
    matches: list[Match] = []
    before: dict[int, int] = {}
    for frame, number in enumerate(run.frame_numbers):
        ids, boxes = truth.boxes.get(number, (np.zeros(0, np.int64), np.zeros((0, 4), np.float32)))
        track_ids, track_boxes = reported.get(frame, ([], []))
        pairs = list(_assign(ids, boxes, np.asarray(track_ids, np.int64), track_boxes, before, iou))
        before |= {truth_id: track_id for truth_id, track_id, _ in pairs}
        matches += [Match(frame, *pair) for pair in pairs]
    return matches


def people_of_tracks(matches: list[Match]) -> dict[int, int]:
    """track_id → the annotated person with whom it shares the most frames."""
    shared: dict[int, Counter[int]] = {}
    for match in matches:
        shared.setdefault(match.track_id, Counter())[match.truth_id] += 1
    return {track_id: counts.most_common(1)[0][0] for track_id, counts in shared.items()}


def _reported(run: VideoRun) -> dict[int, tuple[list[int], list[tuple[float, float, float, float]]]]:
    """Frame index → the track ids and boxes that the pipeline reported there."""
    reported: dict[int, tuple[list[int], list[tuple[float, float, float, float]]]] = {}
    for track in run.tracks:
        for frame, box in zip(track.frames, track.boxes_xyxy, strict=True):
            ids, boxes = reported.setdefault(frame, ([], []))
            ids.append(track.track_id)
            boxes.append(box)
    return reported


def _assign(
    ids: NDArray[np.int64],
    boxes: Boxes,
    track_ids: NDArray[np.int64],
    track_boxes: list[tuple[float, float, float, float]],
    before: dict[int, int],
    iou: float,
) -> Iterator[tuple[int, int, float]]:
    """One frame → (truth_id, track_id, overlap) of each pair."""
    if len(ids) == 0 or len(track_ids) == 0:
        return
    overlap = pairwise_iou(boxes, np.asarray(track_boxes, np.float32))  # (N, M)
    kept = np.asarray([[before.get(int(one)) == int(other) for other in track_ids] for one in ids])
    worth = np.where(overlap >= iou, overlap + _KEEP * kept, 0.0)
    for row, column in zip(*linear_sum_assignment(-worth), strict=True):
        if worth[row, column] > 0:
            yield int(ids[row]), int(track_ids[column]), float(overlap[row, column])
