"""Box arithmetic. Pure functions over float32 arrays; boxes are ``x1, y1, x2, y2`` in pixels unless named else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def xyxy_to_ltwh(boxes_xyxy: Boxes) -> Boxes:
    """(..., 4) corners → (..., 4) left, top, width, height."""
    boxes = np.asarray(boxes_xyxy, np.float32)
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def ltwh_to_xyxy(boxes_ltwh: Boxes) -> Boxes:
    """(..., 4) left, top, width, height → (..., 4) corners."""
    boxes = np.asarray(boxes_ltwh, np.float32)
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def area(boxes_xyxy: Boxes) -> NDArray[np.float32]:
    """(..., 4) corners → (...) areas; degenerate boxes have area 0."""
    size = np.clip(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0, None)
    return np.asarray(size[..., 0] * size[..., 1], np.float32)


def pairwise_intersection(a_xyxy: Boxes, b_xyxy: Boxes) -> NDArray[np.float32]:
    """(N, 4), (M, 4) corners → (N, M) intersection areas."""
    a, b = np.reshape(a_xyxy, (-1, 1, 4)), np.reshape(b_xyxy, (1, -1, 4))
    top_left = np.maximum(a[..., :2], b[..., :2])
    bottom_right = np.minimum(a[..., 2:], b[..., 2:])
    size = np.clip(bottom_right - top_left, 0, None)
    return np.asarray(size[..., 0] * size[..., 1], np.float32)


def pairwise_iou(a_xyxy: Boxes, b_xyxy: Boxes) -> NDArray[np.float32]:
    """(N, 4), (M, 4) corners → (N, M) intersection over union in 0..1; two empty boxes give 0."""
    a, b = np.asarray(a_xyxy, np.float32).reshape(-1, 4), np.asarray(b_xyxy, np.float32).reshape(-1, 4)
    intersection = pairwise_intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0), np.float32)


def clip_to_image(boxes_xyxy: Boxes, size_hw: tuple[int, int]) -> Boxes:
    """(..., 4) corners → the same, limited to an image of ``size_hw`` pixels."""
    height, width = size_hw
    limit = np.array([width, height, width, height], np.float32)
    return np.asarray(np.clip(boxes_xyxy, 0, limit), np.float32)


def normalise(box_xyxy: Boxes, size_hw: tuple[int, int]) -> Boxes:
    """(..., 4) pixel corners → (..., 4) corners in 0..1 of an image of ``size_hw`` pixels, clipped to it."""
    height, width = size_hw
    limit = np.array([width, height, width, height], np.float32)
    return np.asarray(clip_to_image(np.asarray(box_xyxy, np.float32), size_hw) / limit, np.float32)


def denormalise(box: Boxes, size_hw: tuple[int, int]) -> Boxes:
    """(..., 4) corners in 0..1 of an image of ``size_hw`` pixels → (..., 4) pixel corners."""
    height, width = size_hw
    return np.asarray(np.asarray(box, np.float32) * np.array([width, height, width, height], np.float32), np.float32)
