"""Makes parts of a picture unreadable: squares of one colour each, too coarse for a face or a number plate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2

from pipeline.entities import Image
from service.exports.people import Box

CELLS = 8  # along the longer side of a box: a standing person's head is one or two
LEAST_PX = 12  # a side of a square
WHOLE_CELLS = 16  # along the longer side of a picture of which nothing is known


def pixelate(image: Image, boxes: Iterable[Box]) -> Image:
    """→ new uint8 (H, W, 3) RGB; ``boxes`` in parts of its width and height."""
    hidden = image.copy()
    for box in boxes:
        _mosaic(hidden, _pixels(box, image), CELLS)
    return hidden


def pixelate_whole(image: Image) -> Image:
    """→ new uint8 (H, W, 3) RGB."""
    hidden = image.copy()
    _mosaic(hidden, (0, 0, image.shape[1], image.shape[0]), WHOLE_CELLS)
    return hidden


def _pixels(box: Box, image: Image) -> tuple[int, int, int, int]:
    """→ whole pixels inside the picture that cover the box."""
    height, width = image.shape[:2]
    x1, y1 = max(0, math.floor(box[0] * width)), max(0, math.floor(box[1] * height))
    return x1, y1, min(width, math.ceil(box[2] * width)), min(height, math.ceil(box[3] * height))


def _mosaic(image: Image, place: tuple[int, int, int, int], cells: int) -> None:
    x1, y1, x2, y2 = place
    width, height = x2 - x1, y2 - y1
    if width <= 0 or height <= 0:
        return
    side = max(LEAST_PX, math.ceil(max(width, height) / cells))
    coarse = (max(1, round(width / side)), max(1, round(height / side)))  # OpenCV's order: width first
    small = cv2.resize(image[y1:y2, x1:x2], coarse, interpolation=cv2.INTER_AREA)
    image[y1:y2, x1:x2] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
