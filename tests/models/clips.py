"""Real video → uint8 arrays for the networks."""

from __future__ import annotations

from itertools import chain, cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray


def read_video(path: Path, size: int = 224) -> tuple[NDArray[np.uint8], float]:
    """Every frame, its central square resized → uint8 (N, size, size, 3) RGB, and frames a second."""
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or 25)
        images = [_square(frame.to_ndarray(format="rgb24"), size) for frame in container.decode(video=0)]
    return np.stack(images), rate


def read_clip(path: Path, length: int = 64, rate_hz: float = 25.0) -> NDArray[np.uint8]:
    """The middle of a video at ``rate_hz`` → uint8 (length, 224, 224, 3); a short one is played back and forth."""
    images, rate = read_video(path)
    index = np.round(np.arange(0, len(images) / rate, 1 / rate_hz) * rate).astype(int)
    index = index[index < len(images)]
    start = max(0, (len(index) - length) // 2)
    window = index[start : start + length].tolist()
    return images[list(islice(cycle(chain(window, window[::-1])), length))]


def _square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side]
    return square if side == size else cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
