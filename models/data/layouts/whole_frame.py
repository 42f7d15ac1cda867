"""Whole-frame clips: the shorter side resized, the centre cut out, sampled on the media-time grid.

So I3D reads videos (Carreira and Zisserman 2017, https://arxiv.org/abs/1705.07750: shorter side 256, centre 224). The
square is cut and scaled by ``pipeline.crops``, in one step, as the service cuts people. Videos of any length are
streamed: one and a half pieces of pictures are held at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from models.data.clip_file import Clip
from models.data.journal import stamp_of
from models.errors import DatasetError, UnreadableFileError
from models.weights.cards import ModelInput
from pipeline.clips import due_samples
from pipeline.crops import crop_person
from pipeline.entities import Image
from pipeline.errors import PipelineError
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource

_SLACK_S = 0.005  # containers round times, Matroska to a millisecond
_SMALLEST = 32  # pixels that a network takes (models.weights.cards.ModelInput)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a video as a clip. Times are seconds of media time; ``track_id`` is 0 for whole frames."""

    clip: Clip  # uint8 (T, S, S, 3) RGB
    start_s: float
    end_s: float
    track_id: int = 0


@dataclass(frozen=True, slots=True)
class WholeFrameCutter:
    """Cuts one video into clips of its central square. Sizes are pixels.

    A video shorter than ``min_s`` is refused. One of more than one and a half times ``piece_s`` becomes several clips
    of ``piece_s``; the last takes the rest, so that none is shorter than half of it and nothing is lost.
    """

    size: int = 224
    short_side: int = 256
    rate_hz: float = 25.0
    min_s: float = 0.0
    piece_s: float = 10.0

    def __post_init__(self) -> None:
        if not _SMALLEST <= self.size <= self.short_side:
            raise DatasetError(f"expected {_SMALLEST} <= size <= short_side, got {self.size} and {self.short_side}")
        if self.rate_hz <= 0 or not 0 <= self.min_s <= self.piece_s or self.piece_s * self.rate_hz < 2:
            raise DatasetError("expected rate_hz > 0, 0 <= min_s <= piece_s and at least two pictures in piece_s")

    @property
    def input(self) -> ModelInput:
        return ModelInput(height=self.size, width=self.size, rate_hz=self.rate_hz, margin=0.0)

    def describe(self) -> dict[str, Any]:
        return {"clips": "whole frames", **asdict(self)}

    def stamp(self, path: Path) -> str:
        return stamp_of(path)

    def cut(self, path: Path) -> Iterator[Piece]:
        """One piece at a time. Raises DatasetError: too short; UnreadableFileError: it cannot be decoded to its end."""
        length = _Length()
        pieces = _pieces(_samples(path, self, length), self)
        try:
            # Before the first piece is complete it is known whether the video is long enough.
            first = next(pieces, None)
            if first is None or length.total_s + _SLACK_S < self.min_s:
                raise DatasetError(f"it is {length.total_s:.2f} s long, under {self.min_s:g} s")
            yield first
            yield from pieces
        except PipelineError as error:
            raise UnreadableFileError(f"it cannot be decoded: {error}") from error


@dataclass
class _Length:
    """Measures a video while it is read: ``total_s`` counts every frame as long as the average one."""

    total_s: float = 0.0
    first_s: float = 0.0
    _frames: int = 0

    def count(self, time_s: float) -> None:
        self.first_s = self.first_s if self._frames else time_s
        self._frames += 1
        if self._frames > 1:
            self.total_s = (time_s - self.first_s) * self._frames / (self._frames - 1)


def _samples(path: Path, config: WholeFrameCutter, length: _Length) -> Iterator[Image]:
    """→ uint8 (S, S, 3) RGB for each place of the grid. Raises PipelineError where the video cannot be read."""
    source = VideoSource(SourceUrl.from_path(path), SourceOptions(), lambda *_: None)
    newest: Image | None = None
    taken = 0
    try:
        for frame in source:
            length.count(frame.time_s)
            first_here, end = due_samples(frame.time_s - length.first_s, taken, config.rate_hz)
            if end > taken:
                if newest is not None:
                    yield from repeat(newest, first_here - taken)
                newest = central_square(frame.image, config.size, config.short_side)
                yield from repeat(newest, end - first_here)
                taken = end
    finally:
        source.stop()


def central_square(image: Image, size: int, short_side: int) -> Image:
    """uint8 (H, W, 3) RGB → uint8 (size, size, 3): what resizing the shorter side and cutting the centre gives."""
    height, width = image.shape[:2]
    half = min(height, width) * size / short_side / 2
    box = np.array([width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half], np.float32)
    return crop_person(image, box, size, margin=0.0)


def _pieces(samples: Iterator[Image], config: WholeFrameCutter) -> Iterator[Piece]:
    length = round(config.piece_s * config.rate_hz)
    held: list[Image] = []
    given = 0
    for image in samples:
        held.append(image)
        if len(held) >= length * 3 // 2:
            yield _piece(held[:length], given, config.rate_hz)
            given += length
            del held[:length]
    if held:
        yield _piece(held, given, config.rate_hz)


def _piece(images: list[Image], first: int, rate_hz: float) -> Piece:
    return Piece(np.stack(images), first / rate_hz, (first + len(images)) / rate_hz)
