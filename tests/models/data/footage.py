"""Real pictures and moving patterns for the tests of what networks are fed with."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.clip_file import ClipFormat, clip_name, write_clip
from models.data.manifest import ClipRecord, Split
from tests.support.places import STREET


@cache
def street(count: int = 24, size: int = 64) -> NDArray[np.uint8]:
    """uint8 (count, size, size, 3) RGB: the middle of the bundled street video. Not to be written to."""
    with av.open(str(STREET)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), count)]
    left = (frames[0].shape[1] - frames[0].shape[0]) // 2
    squares = [frame[:, left : left + frame.shape[0]] for frame in frames]
    clip = np.stack([cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA) for square in squares])
    clip.setflags(write=False)
    return clip


def sliding(
    count: int, size: int = 64, step_xy: tuple[int, int] = (2, 0), seed: int = 0, sigma: float = 2.0
) -> NDArray[np.uint8]:
    """uint8 (count, size, size, 3): a texture, ``sigma`` soft, of which every pixel moves by ``step_xy``."""
    room = size + 2 * count * max(map(abs, step_xy)) + 2
    noise = np.random.default_rng(seed).integers(0, 256, (room, room, 3), dtype=np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), sigma), None, 0, 255, cv2.NORM_MINMAX)
    tops = [room // 2 - size // 2 - step_xy[1] * index for index in range(count)]
    lefts = [room // 2 - size // 2 - step_xy[0] * index for index in range(count)]
    return np.stack([texture[top : top + size, left : left + size] for top, left in zip(tops, lefts, strict=True)])


def counting(count: int, size: int = 32) -> NDArray[np.uint8]:
    """uint8 (count, size, size, 3): picture i is grey of value 4·i, so that a window tells which pictures it took."""
    return np.stack([np.full((size, size, 3), 4 * index, np.uint8) for index in range(count)])


def record_of(
    folder: Path, clip: NDArray[np.uint8], name: str, label: str = "Walking", split: Split = Split.TRAIN
) -> ClipRecord:
    """Writes a lossless clip below ``folder`` → its record."""
    path = folder / "clips" / label / clip_name(name, ClipFormat.FFV1)
    write_clip(path, clip, 25.0, ClipFormat.FFV1)
    return ClipRecord(path, label, f"group-{name}", split, filled=len(clip))
