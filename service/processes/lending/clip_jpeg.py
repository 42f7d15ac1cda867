"""A clip's pictures as one JPEG, for the way to another machine.

Cameras slower than the clip's grid repeat pictures, and a provisional clip plays few back and forth: each different one
crosses once, one below the other. 9.6 MB of 64 crops become some hundred kB.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.sources.jpeg_scanner import picture_size

Pixels = NDArray[np.uint8]

QUALITY = 90  # docs/cluster.md has what others cost and change
MAX_BYTES = 16 << 20
MAX_SIDE = 65_500  # of a JPEG


def pack_clip(crops: Sequence[Pixels], quality: int = QUALITY) -> tuple[tuple[int, ...], Pixels]:
    """T × uint8 (H, W, 3) RGB → which picture each of the T places shows, and a JPEG of them all, uint8 (N,).

    Raises ValueError for pictures that do not fit into one.
    """
    numbers: dict[bytes, int] = {}
    order = tuple(numbers.setdefault(crop.tobytes(), len(numbers)) for crop in crops)
    column = np.concatenate([crops[order.index(number)] for number in range(len(numbers))])  # (U * H, W, 3)
    if max(column.shape[:2]) > MAX_SIDE:
        raise ValueError(f"expected clips of at most {MAX_SIDE} rows in all, got {column.shape[0]}")
    bgr = cv2.cvtColor(column, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"{len(numbers)} pictures of {crops[0].shape} cannot be written as JPEG")
    return order, np.asarray(data, np.uint8).reshape(-1)


def unpack_clip(order: tuple[int, ...], jpeg: Pixels, clip_shape: tuple[int, ...]) -> tuple[Pixels, ...]:
    """→ the clip's pictures again, T × uint8 (H, W, 3) RGB; ``clip_shape``: (T, H, W, 3).

    Raises ValueError for what is no such clip. Its size is looked at before a pixel is decoded.
    """
    length, height, width, _ = clip_shape
    if len(order) != length or min(order) < 0 or max(order) >= length:
        raise ValueError(f"expected {length} places for pictures 0..{length - 1}, got {str(order)[:80]}")
    if jpeg.ndim != 1 or not 0 < jpeg.nbytes <= MAX_BYTES:
        raise ValueError(f"expected a JPEG of at most {MAX_BYTES} bytes, got {jpeg.nbytes}")
    count = max(order) + 1
    expected = width, count * height
    found = picture_size(jpeg.tobytes())
    if found != expected:
        raise ValueError(f"expected a JPEG of {count} pictures, {expected[0]}×{expected[1]} pixels, got {_size(found)}")
    column = cv2.imdecode(jpeg, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if column is None or column.shape != (count * height, width, 3):
        raise ValueError("expected a JPEG that can be decoded")
    pictures = cv2.cvtColor(column, cv2.COLOR_BGR2RGB).reshape(count, height, width, 3)
    return tuple(pictures[number] for number in order)


def _size(found: tuple[int, int] | None) -> str:
    return "something else" if found is None else f"{found[0]}×{found[1]}"
