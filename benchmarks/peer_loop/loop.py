"""The bookkeeping of the example's loop: which frames give crops, whose crops are enough, when all are classified.

Written anew from what ultralytics' ``examples/YOLOv8-Action-Recognition`` does with its default numbers. Where one
could do less work or get more right at the same schedule, this one does: crops are only made ready for the network when
it runs, and a label stays with its person, not with the place in a list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pipeline.entities import Floats, Image

CROP = 224


@dataclass(frozen=True, slots=True)
class Schedule:
    """``samples`` crops a person, one every ``skip`` frames; clips overlap by ``overlap``; ``margin`` of a box."""

    samples: int = 8
    skip: int = 2
    overlap: float = 0.25
    margin: float = 0.1

    def takes(self, number: int) -> bool:
        """Whether frame ``number`` (from 1 on) gives crops."""
        return number % self.skip == 0

    def classifies(self, number: int, any_before: bool) -> bool:
        """Whether everybody with enough crops is classified at frame ``number``; at once where nobody ever was."""
        return not any_before or number % int(self.samples * self.skip * (1 - self.overlap)) == 0


@dataclass(frozen=True, slots=True)
class Label:
    """``seen_s``: when the newest crop behind it was taken, on the camera's clock."""

    action: int
    seen_s: float


class People:
    """Crops and labels of everybody by track ID."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._crops: dict[int, deque[Image]] = {}
        self._taken_s: dict[int, float] = {}
        self.labels: dict[int, Label] = {}
        self.given = 0  # labels in all

    def take(self, track_id: int, crop: Image, now_s: float) -> None:
        self._crops.setdefault(track_id, deque(maxlen=self._schedule.samples)).append(crop)
        self._taken_s[track_id] = now_s

    def ready(self, track_ids: Iterable[int]) -> list[int]:
        """→ who of them has enough crops."""
        wanted = self._schedule.samples
        return [track_id for track_id in track_ids if len(self._crops.get(track_id, ())) == wanted]

    def clip(self, track_id: int) -> Image:
        """→ uint8 (samples, 224, 224, 3)."""
        return np.stack(self._crops[track_id])

    def give(self, track_id: int, action: int) -> None:
        self.labels[track_id] = Label(action, self._taken_s[track_id])
        self.given += 1

    def oldest_seen_s(self, track_ids: Iterable[int]) -> float | None:
        """→ when the crops behind the oldest label that is shown were taken; None: nobody has one."""
        return min((self.labels[track_id].seen_s for track_id in track_ids if track_id in self.labels), default=None)

    def message(self, time_s: float, track_ids: Sequence[int], boxes: Sequence[Sequence[float]]) -> dict[str, Any]:
        """What is shown of one picture. ``boxes``: corners in 0..1. → the fields of a `tracks` message that count."""
        named = {track_id: str(label.action) for track_id, label in self.labels.items()}
        tracks = [
            {"track_id": track_id, "box": list(box), "action": named.get(track_id)}
            for track_id, box in zip(track_ids, boxes, strict=True)
        ]
        return {"time_s": time_s, "tracks": tracks}


class Shown:
    """What stands on the screen, from ``begin_s`` of the camera's clock on; it stays until the loop comes round again.

    ``ages_s``: the age of the oldest label shown, once a second, as the service's ``label_age_ms`` is sampled.
    """

    def __init__(self, begin_s: float) -> None:
        self._next_s = begin_s
        self._seen_s: float | None = None
        self.ages_s: list[float] = []

    def change(self, track_ids: Sequence[int], people: People, now_s: float) -> None:
        """The screen shows another picture from ``now_s`` on."""
        while self._next_s < now_s:
            if self._seen_s is not None:
                self.ages_s.append(self._next_s - self._seen_s)
            self._next_s += 1.0
        self._seen_s = people.oldest_seen_s(track_ids)


def square_crop(image: Image, box_xyxy: Floats, margin: float) -> Image:
    """The square around the box and its margin, cut at the border → uint8 (224, 224, 3)."""
    height, width = image.shape[:2]
    left, top, right, bottom = map(float, box_xyxy)
    wide, high = (right - left) * margin, (bottom - top) * margin
    left, right = max(0.0, left - wide), min(float(width), right + wide)
    top, bottom = max(0.0, top - high), min(float(height), bottom + high)
    half = max(1, int(max(right - left, bottom - top)) // 2)
    x, y = int(left + right) // 2, int(top + bottom) // 2
    part = image[max(0, y - half) : max(1, y + half), max(0, x - half) : max(1, x + half)]
    return np.asarray(cv2.resize(part, (CROP, CROP), interpolation=cv2.INTER_LINEAR), np.uint8)


def stretched(samples: int, wanted: int) -> list[int]:
    """→ ``wanted`` places in a clip of ``samples`` pictures, in order, each repeated about equally often."""
    return [place * samples // wanted for place in range(wanted)]
