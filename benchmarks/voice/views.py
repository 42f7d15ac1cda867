"""What is cut of a video around a person: close, wide, together with a partner, a still square, the whole scene."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.voice.people import partner
from models.data.batches.clip_window import WindowConfig, WindowMode, window_indices
from models.data.tracks.ways import LabelledWay
from pipeline.crops import crop_person
from pipeline.entities import Image
from pipeline.motion import Doubles
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource

Clip = NDArray[np.uint8]  # (T, S, S, 3) RGB
Boxes = Callable[[LabelledWay], Doubles]  # → (T, 4): what is cut at each sample
WINDOWS = (WindowMode.CENTRE, WindowMode.FIRST, WindowMode.LAST)
STILL_LIMIT = 4.0  # times the person's height: a still square is not larger


def own_boxes(person: LabelledWay) -> Doubles:
    return person.way.boxes


def pair_boxes(person: LabelledWay) -> Doubles:
    """Around both of a pair; a person in touch with nobody is cut wide."""
    other = partner(person.way)
    if other is None:
        return _grown(person.way.boxes, 0.4)
    return _around(np.stack([person.way.boxes, other]))


def still_boxes(person: LabelledWay) -> Doubles:
    """One box for all samples, around the whole way: people move in it, where crops that follow hold them still."""
    whole, height = (
        _around(person.way.boxes[:, None])[0],
        float(np.median(person.way.boxes[:, 3] - person.way.boxes[:, 1])),
    )
    middle, half = (whole[:2] + whole[2:]) / 2, (whole[2:] - whole[:2]) / 2
    half = np.minimum(half, STILL_LIMIT / 2 * height)
    return np.repeat(np.concatenate([middle - half, middle + half])[None], len(person), axis=0)


def _around(boxes: Doubles) -> Doubles:
    """(M, T, 4) → (T, 4), or (T, 1, 4) → the same box once: around all of the first axis."""
    return np.concatenate([boxes[..., :2].min(axis=0), boxes[..., 2:].max(axis=0)], axis=-1)


def _grown(boxes: Doubles, share: float) -> Doubles:
    reach = (boxes[:, 3] - boxes[:, 1])[:, None] * share / 2
    return np.concatenate([boxes[:, :2] - reach, boxes[:, 2:] + reach], axis=1)


@dataclass(frozen=True, slots=True)
class View:
    """``length`` pictures, every ``speed``-th sample, squares of ``size`` pixels around ``boxes`` with ``margin``;
    ``boxes`` None: the whole picture, pressed into the square. ``mirror``: its mirror image
    is a look of its own; ``ends``: so are the first and the last window of a longer clip. ``skeleton``: for joints.
    """

    boxes: Boxes | None = own_boxes
    margin: float = 0.2
    size: int = 112
    length: int = 32
    speed: float = 2.0
    mirror: bool = False
    ends: bool = False
    skeleton: bool = False

    def windows(self, person: LabelledWay) -> list[NDArray[np.intp]]:
        """→ samples of the middle window and with ``ends`` of the first and the last, each (length,), none twice."""
        modes = WINDOWS if self.ends else WINDOWS[:1]
        found = [window_indices(len(person), WindowConfig(self.length, mode, self.speed)) for mode in modes]
        return list({tuple(indices): indices for indices in found}.values())


def cut(people: Sequence[LabelledWay], views: Mapping[str, View]) -> Iterator[tuple[str, LabelledWay, list[Clip]]]:
    """One video is decoded once → (view, person, one clip a window) for all ``people`` of it.

    Raises SourceError where the video cannot be read.
    """
    wanted = _wanted(people, views)
    found: dict[tuple[str, str], dict[int, Image]] = defaultdict(dict)
    with closing(_Pictures(people[0])) as pictures:
        for number, picture in pictures:
            for name, person, box in wanted.pop(number, ()):
                found[name, person.name][number] = _square(picture, box, views[name])
            if not wanted:
                break
    if wanted:
        raise ValueError(f"{people[0].source} ends before picture {max(wanted)}")
    for name, view in views.items():
        for person in people:
            crops = found.pop((name, person.name))
            yield name, person, [_clip(crops, person.frames[indices]) for indices in view.windows(person)]


def _wanted(
    people: Sequence[LabelledWay], views: Mapping[str, View]
) -> dict[int, list[tuple[str, LabelledWay, Doubles | None]]]:
    """→ by picture, what to cut of it."""
    wanted: dict[int, dict[tuple[str, str], tuple[str, LabelledWay, Doubles | None]]] = defaultdict(dict)
    for name, view in views.items():
        for person in people:
            boxes = view.boxes(person) if view.boxes is not None else None
            for sample in {int(sample) for indices in view.windows(person) for sample in indices}:
                box = None if boxes is None else boxes[sample]
                wanted[int(person.frames[sample])][name, person.name] = (name, person, box)
    return {number: list(found.values()) for number, found in wanted.items()}


def _square(picture: Image, box: Doubles | None, view: View) -> Image:
    if box is None:
        return np.asarray(cv2.resize(picture, (view.size, view.size), interpolation=cv2.INTER_AREA), np.uint8)
    return crop_person(picture, np.asarray(box, np.float32), view.size, view.margin)


def _clip(crops: Mapping[int, Image], frames: NDArray[np.int64]) -> Clip:
    return np.stack([crops[int(frame)] for frame in frames])


class _Pictures:
    """The pictures of a person's video with their numbers from 1."""

    def __init__(self, person: LabelledWay) -> None:
        self._source = VideoSource(SourceUrl.from_path(person.source), SourceOptions(), lambda *_: None)

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        for frame in self._source:
            yield frame.index + 1, frame.image

    def close(self) -> None:
        self._source.stop()
