"""People cut out of videos, with who is who: what an appearance network learns from.

A crop is the person's box with a margin, so that training may shift and shrink the box as a detector does. Who is who
comes from tracks: MOTChallenge text beside the videos that ``clips.csv`` names, the project's own detector and tracker
in others. Two tracks of one video may be the same person seen again; two tracks of one frame are two people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.manifest import Split
from models.errors import DatasetError
from models.person_training.videos import TrainingVideo
from pipeline.detector import PersonDetector
from pipeline.entities import Floats, Frame, Image
from pipeline.geometry import ltwh_to_xyxy, xyxy_to_ltwh
from pipeline.tracker import PersonTracker, TrackerConfig

MARGIN = 0.125  # of the box's width and height, on each side
PICTURE_HW = (256, 128)  # of a stored crop, its margin included
TIGHT_HW = (round(PICTURE_HW[0] / (1 + 2 * MARGIN)), round(PICTURE_HW[1] / (1 + 2 * MARGIN)))  # of the box inside
LEAST_HEIGHT_PX = 40
TRACKER_STRIDE = 3


@dataclass(frozen=True)
class Crops:
    """N crops. ``people`` are unique over all videos; ``frames`` count within a video, from 1."""

    pictures: NDArray[np.uint8]  # (N, 256, 128, 3) RGB
    people: NDArray[np.int64]  # (N,)
    videos: NDArray[np.int64]  # (N,)
    frames: NDArray[np.int64]  # (N,)
    held_out: NDArray[np.bool_]  # (N,): of a video that is not trained on

    def __len__(self) -> int:
        return len(self.people)

    def part(self, chosen: NDArray[np.bool_]) -> Crops:
        return Crops(
            self.pictures[chosen],
            self.people[chosen],
            self.videos[chosen],
            self.frames[chosen],
            self.held_out[chosen],
        )

    def save(self, file: Path) -> None:
        part = file.with_suffix(".part.npz")
        np.savez(
            part,
            pictures=self.pictures,
            people=self.people,
            videos=self.videos,
            frames=self.frames,
            held_out=self.held_out,
        )
        part.rename(file)

    @classmethod
    def load(cls, file: Path) -> Crops:
        with np.load(file) as stored:
            return cls(*(stored[name] for name in ("pictures", "people", "videos", "frames", "held_out")))


def collect(
    videos: Sequence[TrainingVideo], detector: PersonDetector | None, frames_per_video: int, say: Callable[[str], None]
) -> Crops:
    """Crops of evenly spaced frames of each video. Videos without tracks need a detector.

    Raises DatasetError when a video cannot be read, needs a detector that is not there, or nobody is found in any.
    """
    pictures: list[Image] = []
    rows: list[tuple[int, int, int, bool]] = []
    for number, video in enumerate(videos):
        for person, frame, picture in _people(video, detector, frames_per_video):
            pictures.append(picture)
            rows.append((number * 100_000 + person, number, frame, video.split is not Split.TRAIN))
        if number % 20 == 19:
            say(f"{len(rows)} crops of {number + 1} of {len(videos)} videos")
    if not rows:
        raise DatasetError("nobody tall enough in any of the videos")
    people, of_video, frames, held_out = (np.array(column) for column in zip(*rows, strict=True))
    return Crops(np.stack(pictures), people, of_video, frames, held_out)


def _people(
    video: TrainingVideo, detector: PersonDetector | None, frames_per_video: int
) -> Iterator[tuple[int, int, Image]]:
    """→ (track, frame from 1, crop) of every person tall enough in the chosen frames."""
    rows = _tracked_rows(video, detector)
    rows = rows[rows[:, 5] >= LEAST_HEIGHT_PX]
    known = np.unique(rows[:, 0]).astype(int)
    chosen = known[np.unique(np.linspace(0, len(known) - 1, min(frames_per_video, len(known))).astype(int))]
    wanted = set(chosen.tolist())
    for number, image in _frames(video.path, int(chosen.max(initial=0))):
        if number not in wanted:
            continue
        for row in rows[rows[:, 0] == number]:
            yield int(row[1]), number, cut(image, ltwh_to_xyxy(row[None, 2:6].astype(np.float32))[0])


def _tracked_rows(video: TrainingVideo, detector: PersonDetector | None) -> NDArray[np.float64]:
    """MOTChallenge rows (K, ≥ 6): frame, track, left, top, width, height."""
    if video.tracks is not None:
        text = video.tracks.read_text().strip()
        return np.loadtxt(video.tracks, delimiter=",", ndmin=2) if text else np.empty((0, 6))
    if detector is None:
        raise DatasetError(f"{video.path} has no tracks: a detector is needed")
    tracker, rows = PersonTracker(TrackerConfig()), []
    for number, image in _frames(video.path, 1 << 30):
        if number % TRACKER_STRIDE:
            continue
        frame = Frame(image, number, number / 25, 0.0, 0.0)
        for track in tracker.update(frame, detector.detect([image])[0]):
            if track.coasting_s == 0:
                rows.append([number, track.track_id, *xyxy_to_ltwh(track.box_xyxy[None])[0]])
    return np.array(rows, np.float64).reshape(-1, 6)


def _frames(path: Path, last: int) -> Iterator[tuple[int, Image]]:
    """RGB frames, counted from 1, up to and with ``last``."""
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise DatasetError(f"{path} is no readable video")
    try:
        for number in range(1, last + 1):
            more, bgr = capture.read()
            if not more:
                return
            yield number, np.ascontiguousarray(bgr[..., ::-1])
    finally:
        capture.release()


def cut(image: Image, box_xyxy: Floats) -> Image:
    """One person of an RGB picture with ``MARGIN`` around: uint8 (256, 128, 3); beyond the border its last pixels."""
    width, height = float(box_xyxy[2] - box_xyxy[0]), float(box_xyxy[3] - box_xyxy[1])
    left, top = float(box_xyxy[0]) - MARGIN * width, float(box_xyxy[1]) - MARGIN * height
    scale_x, scale_y = (1 + 2 * MARGIN) * width / PICTURE_HW[1], (1 + 2 * MARGIN) * height / PICTURE_HW[0]
    if scale_y > 1.5:  # a much larger picture is averaged first, or thin stripes would come out at random
        factor = 1 / scale_y
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        left, top, scale_x, scale_y = left * factor, top * factor, scale_x * factor, 1.0
    centres = left + scale_x / 2 - 0.5, top + scale_y / 2 - 0.5  # of the first pixel, in pixels of the source
    to_source = np.array([[scale_x, 0, centres[0]], [0, scale_y, centres[1]]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size_wh = (PICTURE_HW[1], PICTURE_HW[0])
    return np.asarray(cv2.warpAffine(image, to_source, size_wh, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)
