"""Cuts one person out of a picture. Serving and data preparation share it, so a network sees what it was trained on.

The square's side is the longer side of the box plus the margin, its centre is the box's centre. What lies outside
the picture is filled with mid grey: that is 0 once a network has scaled its input to -1..1, the value with which a
convolution pads its own borders, and it invents no texture as repeated edge pixels would.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.entities import Floats, Image

PADDING_VALUE = 128


def crop_person(image: Image, box_xyxy: Floats, size: int = 224, margin: float = 0.2) -> Image:
    """The person in ``box_xyxy`` as a square of ``size`` pixels.

    ``image``: uint8 (H, W, 3) RGB. ``box_xyxy``: float (4,) pixels, may reach over the border or lie outside.
    ``margin``: share of the longer side that is added to it, half on either end. → uint8 (size, size, 3) RGB, newly
    allocated. A box without area, with infinite numbers or outside the picture gives padding only, so that one bad
    box cannot stop a stream. Memory does not depend on the size of the box.

    Raises ValueError when the image is not uint8 (H, W, 3), or ``size`` or ``margin`` make no sense.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"expected a uint8 (H, W, 3) image, got {image.dtype} {image.shape}")
    if size < 1 or margin < 0:
        raise ValueError(f"expected size >= 1 and margin >= 0, got {size} and {margin}")
    crop = np.full((size, size, 3), PADDING_VALUE, np.uint8)
    square = square_around(box_xyxy, margin)
    if square is not None:
        _paint(crop, image, square)
    return crop


def square_around(box_xyxy: Floats, margin: float) -> tuple[int, int, int] | None:
    """Box (4,) in pixels → whole-pixel (left, top, side) of the square to cut; None for a box without area."""
    x1, y1, x2, y2 = (float(value) for value in box_xyxy)
    width, height = x2 - x1, y2 - y1
    if not np.isfinite([x1, y1, x2, y2, width, height]).all() or width <= 0 or height <= 0:
        return None
    side = max(1, round(max(width, height) * (1 + margin)))
    return round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2), side


def _paint(crop: Image, image: Image, square: tuple[int, int, int]) -> None:
    """Scales the visible part of the square only and puts it in its place on the padding."""
    left, top, side = square
    size = crop.shape[0]
    x1, x2 = max(left, 0), min(left + side, image.shape[1])
    y1, y2 = max(top, 0), min(top + side, image.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    to_x1, to_x2 = _span(x1 - left, x2 - left, size / side, size)
    to_y1, to_y2 = _span(y1 - top, y2 - top, size / side, size)
    # Area averages whole pixels when shrinking (no aliasing of thin limbs); enlarging, it would repeat pixels.
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    crop[to_y1:to_y2, to_x1:to_x2] = cv2.resize(image[y1:y2, x1:x2], (to_x2 - to_x1, to_y2 - to_y1), interpolation=how)


def _span(start: int, stop: int, scale: float, size: int) -> tuple[int, int]:
    """A visible span of the square, in source pixels → the span of the crop, in its pixels; at least one pixel."""
    first = min(int(start * scale + 0.5), size - 1)
    return first, max(first + 1, min(int(stop * scale + 0.5), size))
