"""A camera's people and what they do, picture by picture of its video in the case, for annotation programs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.data.exports.cvat import write_cvat
from models.data.imports.cvat import ActionRange
from models.data.imports.motchallenge import BoxTrack
from pipeline.entities import Floats, TrackState
from service.exports.camera_video import Around, CameraVideo, largest_hw
from service.exports.job import CameraJob
from service.exports.people import Sight

_Runs = dict[int, list[ActionRange]]


def write_annotations(camera: CameraJob, video: CameraVideo, path: Path, source: str) -> None:
    """CVAT for video 1.1; ``source`` is what the video is called. Raises OSError."""
    size_hw = largest_hw(camera)
    boxes: dict[int, dict[int, Floats]] = {}
    runs: _Runs = {}
    for frame, sights in _sights(camera, video):
        for track_id, (box, told) in sights.items():
            boxes.setdefault(track_id, {})[frame] = _pixels(box, size_hw)
            _go_on(runs.setdefault(track_id, []), track_id, frame, str(told.get("action") or ""))
    tracks = [BoxTrack(track_id, boxes[track_id]) for track_id in sorted(boxes)]
    labels = [run for track_id in sorted(runs) for run in runs[track_id] if run.label]
    write_cvat(path, tracks, labels, size_hw, len(video.moments), source)


def _sights(camera: CameraJob, video: CameraVideo) -> Iterator[tuple[int, dict[int, Sight]]]:
    """→ number of each picture, from 1, and who is known to be in it."""
    begins = [piece.started_at for piece in camera.pieces]
    around = Around(camera.pieces)
    for frame, at in enumerate(video.moments, 1):
        people = around.people(camera.pieces[max(0, bisect_right(begins, at) - 1)])
        yield frame, {one: sight for one, sight in people.shown(at).items() if _is_certain(sight)}


def _is_certain(sight: Sight) -> bool:
    return bool(sight[1].get("state") == TrackState.CONFIRMED.value)


def _go_on(runs: list[ActionRange], track_id: int, frame: int, action: str) -> None:
    """The same action in the next picture is the same run."""
    if runs and runs[-1].label == action and runs[-1].end == frame - 1:
        runs[-1] = ActionRange(track_id, runs[-1].start, frame, action)
    else:
        runs.append(ActionRange(track_id, frame, frame, action))


def _pixels(box: tuple[float, float, float, float], size_hw: tuple[int, int]) -> Floats:
    height, width = size_hw
    return np.array([box[0] * width, box[1] * height, box[2] * width, box[3] * height], np.float32)
