"""A stored crop as a camera might give it: box off by a little, few pixels, other light, mirrored."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.appearance_training.crops import MARGIN, PICTURE_HW, TIGHT_HW
from pipeline.entities import Image

TREMBLE = 0.05  # deviation of a box's sides, of its width and height
SMALL_SHARE = 0.6  # of the crops are made as small as people far away
SMALL_PX = (36, 110)  # their heights
GAMMA = (0.75, 1.33)


def tight(picture: Image, size_hw: tuple[int, int]) -> Image:
    """The box without its margin: uint8 (H, W, 3) → uint8 (h, w, 3)."""
    top, left = (PICTURE_HW[0] - TIGHT_HW[0]) // 2, (PICTURE_HW[1] - TIGHT_HW[1]) // 2
    return _sized(picture[top : top + TIGHT_HW[0], left : left + TIGHT_HW[1]], size_hw)


def small(picture: Image, height_px: int, size_hw: tuple[int, int]) -> Image:
    """The box as if the person were ``height_px`` tall."""
    return _sized(_shrunk(tight(picture, TIGHT_HW), height_px), size_hw)


def varied(picture: Image, generator: np.random.Generator, size_hw: tuple[int, int]) -> Image:
    """One random view: uint8 (h, w, 3)."""
    off = np.clip(generator.normal(0, TREMBLE, 4), -MARGIN, MARGIN)  # left, top, right, bottom; outwards positive
    height, width = TIGHT_HW
    rows = [PICTURE_HW[0] / 2 - height * (0.5 + off[1]), PICTURE_HW[0] / 2 + height * (0.5 + off[3])]
    columns = [PICTURE_HW[1] / 2 - width * (0.5 + off[0]), PICTURE_HW[1] / 2 + width * (0.5 + off[2])]
    (top, bottom), (left, right) = np.maximum(np.rint(rows), 0).astype(int), np.maximum(np.rint(columns), 0).astype(int)
    view = picture[top:bottom, left:right]
    if generator.random() < SMALL_SHARE:
        view = _shrunk(view, int(generator.integers(*SMALL_PX)))
    if generator.random() < 0.5:
        view = view[:, ::-1]
    return _gamma(_sized(view, size_hw), float(np.exp(generator.uniform(*np.log(GAMMA)))))


def _shrunk(view: Image, height_px: int) -> Image:
    width_px = max(8, round(height_px * view.shape[1] / view.shape[0]))
    return np.asarray(cv2.resize(view, (width_px, height_px), interpolation=cv2.INTER_AREA), np.uint8)


def _sized(view: Image, size_hw: tuple[int, int]) -> Image:
    """As ``AppearanceEncoder`` stretches a box."""
    return np.asarray(cv2.resize(view, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_LINEAR), np.uint8)


def _gamma(view: Image, exponent: float) -> Image:
    table: NDArray[np.uint8] = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return table[view]
