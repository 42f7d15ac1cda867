"""People of a video found once and kept: the detector's work is the same for every network that is tried behind it.

The file holds, for each picture that was looked at, its boxes, confidences and appearance features. Played back, the
tracker makes the same tracks of them, since what it is given does not depend on actions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.events.no_poses import NoPoses
from pipeline.entities import ActionScores, Clip, Detections, Floats, Frame
from pipeline.files import write_atomically
from service.budget.plan import Plan

Finder = Callable[[Frame, Floats], Detections]


class Searching(NoPoses):
    """An ``Inference`` that finds people, keeps them, and classifies nobody."""

    def __init__(self, finder: Finder, plan: Plan) -> None:
        self._finder = finder
        self._plan = plan
        self._found: dict[int, Detections] = {}

    def detect(self, frame: Frame, expected_xyxy: Floats) -> Detections:
        self._found[frame.index] = self._finder(frame, expected_xyxy)
        return self._found[frame.index]

    def plan(self) -> Plan:
        return self._plan

    def submit(self, clip: Clip, gain: float = 1.0) -> None:
        pass

    def finish(self) -> None:
        pass

    def take(self) -> list[ActionScores]:
        return []

    def write(self, path: Path) -> None:
        write_detections(path, self._found)


def write_detections(path: Path, found: dict[int, Detections]) -> None:
    """One compressed file, whole or not at all: frame int (N,), boxes (N, 4), confidence (N,), features (N, D)."""
    frames = [index for index, each in found.items() for _ in range(len(each))]
    features = [each.features for each in found.values() if each.features is not None and len(each)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        path,
        lambda file: np.savez_compressed(
            file,
            looked=np.asarray(sorted(found), np.int64),
            frame=np.asarray(frames, np.int64),
            boxes=np.concatenate([np.zeros((0, 4), np.float32), *(each.boxes_xyxy for each in found.values())]),
            confidences=np.concatenate([np.zeros(0, np.float32), *(each.confidences for each in found.values())]),
            features=np.concatenate(features) if features else np.zeros((0, 1), np.float32),
        ),
    )


def read_detections(path: Path) -> dict[int, Detections]:
    """Frame index → its people, as they were found."""
    with np.load(path) as columns:
        frame, boxes, confidences, features = (columns[key] for key in ("frame", "boxes", "confidences", "features"))
        return {
            int(index): Detections(boxes[frame == index], confidences[frame == index], features[frame == index])
            for index in columns["looked"]
        }
