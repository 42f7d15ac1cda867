"""Labelled pictures on disk, in the form ultralytics trains on, made in steps that can be interrupted.

    WORK/frames/<split>/<video>-<number>.jpg       frames as they are
    WORK/votes/<name>.npz                          what every view of the teacher says of a frame
    WORK/pictures/<split>/images/<name>.jpg        frames to train on: doubtful people are covered in grey
    WORK/pictures/<split>/labels/<name>.txt        rows of 0, centre x, centre y, width, height in parts of the picture
    WORK/pictures/<split>/doubtful/<name>.txt      the same for doubtful boxes

Frames and votes that are there are kept; judging the votes takes seconds and is always done anew. Validation pictures
keep their doubtful people visible.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from models.data.manifest import Split
from models.errors import DatasetError
from models.person_training.evaluation import TruePeople
from models.person_training.ground_truth import read_picture
from models.person_training.teacher import Teacher, Votes, judge
from models.person_training.videos import JPEG_QUALITY, Picture
from pipeline.entities import Floats, Image
from pipeline.files import write_atomically
from pipeline.geometry import pairwise_iou
from pipeline.letterbox import GREY

COVERED_SHARE = 0.1
FREE_IOU = 0.1  # a doubtful person who overlaps a certain one more than this cannot be covered


def collect_votes(
    pictures: Sequence[Picture], teacher: Teacher, folder: Path, done: Callable[[Path], None] | None = None
) -> None:
    """Ask the teacher about every picture that has no votes file yet: the slow step."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        path = _votes_file(folder, picture)
        if not path.is_file():
            votes = teacher.look(read_picture(picture.path), picture.tracked_xyxy)
            _write_votes(path, votes)
        if done is not None:
            done(picture.path)


def _write_votes(path: Path, votes: Votes) -> None:
    write_atomically(
        path, lambda file: np.savez(file, boxes=votes.boxes_xyxy, main=votes.main, witnesses=votes.witnesses)
    )


def read_votes(folder: Path, picture: Picture) -> Votes:
    with np.load(_votes_file(folder, picture)) as stored:
        return Votes(stored["boxes"], stored["main"], stored["witnesses"])


def _votes_file(folder: Path, picture: Picture) -> Path:
    return folder / f"{picture.path.stem}.npz"


def write_pictures(pictures: Sequence[Picture], votes: Path, target: Path) -> int:
    """Judge the votes and write pictures and labels anew → the number of people in them."""
    people = 0
    for picture in pictures:
        image, judged = read_picture(picture.path), judge(read_votes(votes, picture))
        _store(target / picture.split.value, picture, image, judged)
        people += len(judged.boxes_xyxy)
    return people


def _store(target: Path, picture: Picture, image: Image, people: TruePeople) -> None:
    for kind in ("images", "labels", "doubtful"):
        (target / kind).mkdir(parents=True, exist_ok=True)
    name, size_hw = picture.path.stem, (image.shape[0], image.shape[1])
    if picture.split is Split.TRAIN:
        bgr = np.ascontiguousarray(cover(image, people)[..., ::-1])
        cv2.imwrite(str(target / "images" / f"{name}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    else:
        shutil.copyfile(picture.path, target / "images" / f"{name}.jpg")
    write_atomically(target / "doubtful" / f"{name}.txt", to_text(people.ignored_xyxy, size_hw))
    write_atomically(target / "labels" / f"{name}.txt", to_text(people.boxes_xyxy, size_hw))


def cover(image: Image, people: TruePeople) -> Image:
    """Grey boxes over doubtful people who stand free: they are then neither taught as people nor as background.

    Boxes over a tenth of the picture stay visible: without them too little of the scene would be left.
    """
    result = image.copy()
    boxes = people.ignored_xyxy
    overlap = pairwise_iou(boxes, people.boxes_xyxy).max(axis=1, initial=0.0)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    chosen = (overlap <= FREE_IOU) & (area <= COVERED_SHARE * image.shape[0] * image.shape[1])
    for left, top, right, bottom in np.round(boxes[chosen]).astype(int):
        result[max(top, 0) : bottom, max(left, 0) : right] = GREY
    return result


def labelled(folder: Path, split: Split) -> Iterator[tuple[Image, TruePeople]]:
    """The labelled pictures of a split, RGB. Raises DatasetError where there are none."""
    names = sorted(path.stem for path in (folder / split.value / "labels").glob("*.txt"))
    if not names:
        raise DatasetError(f"no labelled pictures in {folder / split.value}")
    for name in names:
        image = read_picture(folder / split.value / "images" / f"{name}.jpg")
        size_hw = (image.shape[0], image.shape[1])
        kinds = [folder / split.value / kind / f"{name}.txt" for kind in ("labels", "doubtful")]
        yield image, TruePeople(*(from_text(path.read_text("utf-8"), size_hw) for path in kinds))


def to_text(boxes_xyxy: Floats, size_hw: tuple[int, int]) -> str:
    """(N, 4) pixels → ultralytics' label text for class 0; boxes are clipped to the picture, empty ones left out."""
    height, width = size_hw
    clipped = np.clip(boxes_xyxy / np.array([width, height, width, height], np.float32), 0, 1)
    centre, size = (clipped[:, :2] + clipped[:, 2:]) / 2, clipped[:, 2:] - clipped[:, :2]
    rows = np.concatenate([centre, size], axis=1)[(size > 1e-4).all(axis=1)]
    return "".join(f"0 {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for x, y, w, h in rows)


def from_text(text: str, size_hw: tuple[int, int]) -> Floats:
    """The inverse of ``to_text``: (N, 4) pixels."""
    rows = np.array([line.split()[1:] for line in text.splitlines()], np.float32).reshape(-1, 4)
    height, width = size_hw
    half = rows[:, 2:] / 2
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    return np.asarray(boxes * np.array([width, height, width, height]), np.float32)
