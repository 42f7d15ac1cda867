"""Person tracks that somebody gave: MOTChallenge text files, and what every such source is turned into.

A row is ``frame, id, left, top, width, height, confidence, class, visibility`` (or -1, -1, -1 after the confidence),
frames from 1; https://motchallenge.net and Milan et al. 2016, "MOT16". Rows of confidence 0 are "not to be
considered"; in files with a class (9 columns) only people count: 1 pedestrian, 2 person on vehicle, 7 static person.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from models.errors import DatasetError
from pipeline.entities import Floats
from pipeline.geometry import ltwh_to_xyxy

PEOPLE_CLASSES = frozenset({-1, 1, 2, 7})
_SHOWN_PROBLEMS = 20
_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class BoxTrack:
    """One person's boxes by frame (from 1), float32 (4,) x1, y1, x2, y2 in pixels. ``filled``: frames interpolated."""

    track_id: int
    boxes: Mapping[int, Floats]
    filled: frozenset[int] = frozenset()

    @property
    def last_frame(self) -> int:
        return max(self.boxes)


def read_mot(path: Path) -> tuple[BoxTrack, ...]:
    """→ the people of a MOTChallenge file, by ID; none of an empty file. Raises DatasetError listing bad lines."""
    boxes: dict[int, dict[int, Floats]] = {}
    problems: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            for line, cells in enumerate(csv.reader(stream), 1):
                if cells and "".join(cells).strip():
                    _add_row(cells, boxes, problems, f"{path}:{line}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    raise_problems(problems)
    return tuple(BoxTrack(track_id, boxes[track_id]) for track_id in sorted(boxes))


def _add_row(cells: list[str], boxes: dict[int, dict[int, Floats]], problems: list[str], where: str) -> None:
    try:
        numbers = [float(cell) for cell in cells]
        if len(numbers) < 6 or not all(abs(number) <= _LARGEST for number in numbers):  # nor what is no number
            raise ValueError("expected frame, id, left, top, width, height, … as numbers")
        frame, track_id = int(numbers[0]), int(numbers[1])
        if (frame, track_id) != tuple(numbers[:2]):
            raise ValueError("expected whole numbers as frame and id")
        if frame < 1 or track_id < 0 or min(numbers[4:6]) <= 0:
            raise ValueError("expected frame >= 1, id >= 0, width and height > 0")
    except ValueError as error:
        problems.append(f"{where}: {error}; got {','.join(cells)}")
        return
    if not _counts(numbers):
        return
    if frame in boxes.get(track_id, {}):
        problems.append(f"{where}: frame {frame} has a second box for ID {track_id}")
        return
    boxes.setdefault(track_id, {})[frame] = ltwh_to_xyxy(np.array([numbers[2:6]], np.float32))[0]


def _counts(numbers: list[float]) -> bool:
    ignored = len(numbers) > 6 and numbers[6] == 0
    return not ignored and (len(numbers) != 9 or int(numbers[7]) in PEOPLE_CLASSES)


def fill_holes(track: BoxTrack, longest: int) -> BoxTrack:
    """Straight lines between boxes that are at most ``longest`` frames apart, as a tracker coasts over lost frames."""
    boxes = dict(track.boxes)
    for before, after in pairwise(sorted(track.boxes)):
        if 1 < after - before <= longest:
            boxes.update(between(track.boxes[before], track.boxes[after], before, after))
    return BoxTrack(track.track_id, boxes, track.filled | (boxes.keys() - track.boxes.keys()))


def between(first: Floats, last: Floats, before: int, after: int) -> dict[int, Floats]:
    """The boxes of the frames strictly between two, on straight lines."""
    steps = after - before
    return {
        before + step: np.asarray(first + (last - first) * np.float32(step / steps), np.float32)
        for step in range(1, steps)
    }


def raise_problems(problems: Iterable[str]) -> None:
    """One DatasetError that lists everything that is wrong (the first 20, and how many more)."""
    found = list(problems)
    if not found:
        return
    more = [f"… and {len(found) - _SHOWN_PROBLEMS} more"] if len(found) > _SHOWN_PROBLEMS else []
    raise DatasetError("\n".join(found[:_SHOWN_PROBLEMS] + more))
