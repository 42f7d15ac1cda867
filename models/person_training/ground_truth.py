"""Pictures with annotated people, in MOTChallenge's form: PETS09-S2L1 (a video) and MOT17 (folders of pictures).

These measure a detector and are never trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from models.errors import DatasetError
from models.person_training.evaluation import TruePeople
from pipeline.entities import Floats, Image
from pipeline.geometry import ltwh_to_xyxy

# MOT17 classes whose detection is neither right nor wrong: person on vehicle, static person, distractor, reflection.
# https://motchallenge.net: its evaluation removes detections that match them.
PEDESTRIAN, IGNORED_CLASSES = 1, (2, 7, 8, 12)
Annotated = Iterator[tuple[Image, TruePeople]]


def annotated_video(video: Path, truth: Path) -> Annotated:
    """The annotated frames of a video, RGB; ``truth`` rows: frame from 1, id, left, top, width, height, …"""
    rows = _rows(truth)
    wanted = {int(frame) for frame in rows[:, 0]}
    capture = cv2.VideoCapture(str(video))
    try:
        for number in range(1, max(wanted) + 1):
            if not capture.grab():
                raise DatasetError(f"{video} ends before frame {number}, {truth.name} goes to {max(wanted)}")
            if number in wanted:
                yield _rgb(capture.retrieve()[1]), TruePeople(_boxes(rows[rows[:, 0] == number]), _boxes(rows[:0]))
    finally:
        capture.release()


def annotated_pictures(sequences: Path) -> Annotated:
    """The pictures of every MOT17 sequence folder (``img1/000001.jpg``, ``gt/gt.txt``) directly under ``sequences``."""
    found = sorted(sequences.glob("*/gt/gt.txt"))
    if not found:
        raise DatasetError(f"no MOT17 sequence (…/gt/gt.txt) in {sequences}")
    for truth in found:
        rows = _rows(truth)
        for picture in sorted((truth.parents[1] / "img1").glob("*.jpg")):
            of_picture = rows[rows[:, 0] == int(picture.stem)]
            counted = (of_picture[:, 6] > 0) & (of_picture[:, 7] == PEDESTRIAN)
            passed_over = np.isin(of_picture[:, 7], IGNORED_CLASSES)
            people = TruePeople(_boxes(of_picture[counted]), _boxes(of_picture[passed_over]))
            yield read_picture(picture), people


def read_picture(path: Path) -> Image:
    """uint8 (H, W, 3) RGB. Raises DatasetError."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise DatasetError(f"{path} is missing or no picture")
    return _rgb(bgr)


def _rgb(bgr: Image) -> Image:
    return np.ascontiguousarray(bgr[..., ::-1])


def _rows(path: Path) -> Floats:
    """(N, 6 or more) numbers. Raises DatasetError."""
    try:
        rows = np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float32)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is missing or no MOTChallenge text: {error}") from error
    if not rows.size or rows.shape[1] < 6:
        raise DatasetError(f"{path}: expected rows of frame, id, left, top, width, height; got shape {rows.shape}")
    return rows


def _boxes(rows: Floats) -> Floats:
    return ltwh_to_xyxy(rows[:, 2:6]).astype(np.float32)
