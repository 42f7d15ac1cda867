"""The crops of one person out of clean recordings, cut and sampled as the service does while it watches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.clips import LEAST_PICTURES, ClipConfig, back_and_forth, sample_grid
from pipeline.crops import crop_person
from pipeline.entities import Image
from pipeline.geometry import denormalise
from service.recording.ways import read_ways

BESIDE_S = 1.0  # before and after the crops that a network reads, for windows that are moved
_MOST = 1000  # pictures


class NoClip(ValueError):
    """There is no clip, and there will be none. The message says why."""


@dataclass(frozen=True, slots=True)
class Footage:
    """One recorded file; ``start_s``: media time of its first frame."""

    video: Path
    sidecar: Path
    start_s: float


@dataclass(frozen=True, slots=True)
class Window:
    """Media times."""

    begin_s: float
    end_s: float

    @classmethod
    def around(cls, start_s: float, end_s: float, config: ClipConfig) -> Window:
        """→ what a clip of an action shows: as much as a network reads, in its middle, and BESIDE_S around it."""
        half_s = config.length / config.rate_hz / 2 + BESIDE_S
        middle_s = (start_s + end_s) / 2
        return cls(middle_s - half_s, middle_s + half_s)

    @property
    def middle_s(self) -> float:
        return (self.begin_s + self.end_s) / 2


@dataclass(frozen=True, slots=True)
class _Cut:
    time_s: float
    crop: Image


def cut_crops(footage: Sequence[Footage], track_id: int, window: Window, config: ClipConfig) -> NDArray[np.uint8]:
    """→ uint8 (T, S, S, 3) RGB, T ≥ ``config.length``: what ``window`` has of the person.

    ``footage`` in order. Too few crops are played back and forth, as a network gets them of somebody new. Raises NoClip
    where the person is not in it or too short, and where a file cannot be read.
    """
    cuts = [cut for each in footage for cut in _cuts(each, track_id, window, config)]
    run = _run_around(cuts, window.middle_s, config.max_gap_s)
    if not run:
        raise NoClip("the person is not in what was recorded")
    shown = sample_grid([cut.time_s for cut in run], config.rate_hz)
    if len(shown) < config.provisional_from or len(set(shown)) < LEAST_PICTURES:
        raise NoClip(f"the person is in {len(run)} pictures of it, which is too little")
    length = max(len(shown), config.length)
    return np.stack([run[shown[place]].crop for place in back_and_forth(len(shown), length)])


def _cuts(footage: Footage, track_id: int, window: Window, config: ClipConfig) -> Iterator[_Cut]:
    try:
        ways = read_ways(footage.sidecar, window.begin_s - BESIDE_S, window.end_s + BESIDE_S)
        if track_id not in ways:
            return
        for time_s, image in _pictures(footage, window):
            box = ways[track_id].at(time_s)
            if box is not None:
                size_hw = image.shape[0], image.shape[1]
                yield _Cut(time_s, crop_person(image, denormalise(box, size_hw), config.size, config.margin))
    except (av.FFmpegError, OSError, IndexError) as error:
        raise NoClip(f"{footage.video.name} cannot be read: {type(error).__name__}") from error


def _pictures(footage: Footage, window: Window) -> Iterator[tuple[float, Image]]:
    """→ media time and picture, uint8 (H, W, 3) RGB, of each frame in the window."""
    with av.open(str(footage.video)) as container:
        stream = container.streams.video[0]
        begin_s = max(0.0, window.begin_s - footage.start_s)
        container.seek(int(begin_s * av.time_base))
        for number, frame in enumerate(container.decode(stream)):
            time_s = footage.start_s + float(frame.time or 0.0)
            if time_s > window.end_s or number > _MOST:
                return
            if time_s >= window.begin_s:
                yield time_s, frame.to_ndarray(format="rgb24")


def _run_around(cuts: Sequence[_Cut], middle_s: float, max_gap_s: float) -> list[_Cut]:
    """→ the longest that holds together of those that are nearest to the middle."""
    runs: list[list[_Cut]] = [[cuts[0]]] if cuts else []
    for before, cut in pairwise(cuts):
        if not 0 < cut.time_s - before.time_s <= max_gap_s:
            runs.append([])
        runs[-1].append(cut)
    return min(runs, key=lambda run: min(abs(cut.time_s - middle_s) for cut in run), default=[])
