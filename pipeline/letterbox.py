"""What surrounds a YOLO network: fitting an image in, boxes back out, and one box for each person.

Preprocessing follows ultralytics: the longer side is scaled to the network's size, the shorter padded with grey 114 to
a multiple of the network's stride.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.entities import Floats, Image, Poses
from pipeline.geometry import pairwise_iou

GREY = 114


@dataclass(frozen=True)
class Letterboxed:
    """A resized, padded image and the way back: ``pixels`` uint8 (h, w, 3) RGB."""

    pixels: Image
    scale: float
    left_top: tuple[int, int]

    def to_image(self, rows: Floats) -> Floats:
        """(N, 5) rows in letterbox pixels → in pixels of the original image."""
        result = rows.copy()
        result[:, :4] = (rows[:, :4] - np.array(self.left_top * 2, np.float32)) / self.scale
        return result


def letterbox(image: Image, size: int, stride: int, fixed_hw: tuple[int, int] | None = None) -> Letterboxed:
    """Scale the longer side to ``size`` and pad the shorter to a multiple of ``stride``, or to ``fixed_hw``."""
    height, width = image.shape[:2]
    limit_h, limit_w = fixed_hw or (size, size)
    scale = min(limit_h / height, limit_w / width)
    new_h, new_w = max(1, round(height * scale)), max(1, round(width * scale))
    resized = image
    if (new_h, new_w) != (height, width):
        resized = np.asarray(cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR), np.uint8)
    full_h, full_w = fixed_hw or (-(-new_h // stride) * stride, -(-new_w // stride) * stride)
    top, left = (full_h - new_h) // 2, (full_w - new_w) // 2
    pixels = np.full((full_h, full_w, 3), GREY, np.uint8)
    pixels[top : top + new_h, left : left + new_w] = resized
    return Letterboxed(pixels, scale, (left, top))


def shrunk(image: Image, longest: int) -> tuple[Image, float]:
    """→ the picture with sides of at most ``longest`` pixels, and by what its places are divided to be the former's."""
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image, 1.0
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def enlarged(poses: Poses, scale: float) -> Poses:
    """→ the poses of a picture that was ``shrunk``, in pixels of the former."""
    by = np.array([1 / scale, 1 / scale, 1], np.float32)
    return Poses(poses.boxes_xyxy / np.float32(scale), poses.confidences, poses.keypoints * by)


def suppress(rows: Floats, iou: float, limit: int) -> Floats:
    """Greedy non-maximum suppression: (N, 5) → at most ``limit`` rows, most confident first."""
    return np.asarray(rows[best_of(rows, iou, limit)], np.float32).reshape(-1, 5)


def best_of(rows: Floats, iou: float, limit: int) -> list[int]:
    """→ the numbers of the rows of (N, 5) that stay, at most ``limit``, most confident first."""
    order = np.argsort(-rows[:, 4], kind="stable")[:1000]
    boxes = rows[order, :4]
    overlap = pairwise_iou(boxes, boxes) > iou
    kept: list[int] = []
    alive = np.ones(len(order), bool)
    for place, index in enumerate(order):
        if alive[place]:
            kept.append(int(index))
            alive &= ~overlap[place]
            if len(kept) == limit:
                break
    return kept
