"""How a person's box moves, by itself and against others: what can be told of an action without a pixel.

Lengths are in heights of the person and times in seconds, so that neither the camera's distance nor its rate matters:
boxes are sampled on the grid of the clips (``pipeline.clips.sample_grid``). Nothing here depends on where in the
picture a person is, how large, for how long, or how many there are: on few cameras these stand for the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
RATE_HZ = 25.0
FEATURES = 56  # numbers that ``motion`` gives
POSTURE = 15  # further ones, with ``posture``
SAME_PERSON = 0.5  # mean IoU from which two tracks are the same person twice
REACH = 0.15  # of a box's height: so far arms reach beyond it
FAR = 5.0  # heights: nobody is further away than that
STEPS = (5, 12)  # samples between the two ends of a movement: 0.2 s and 0.5 s
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Way:
    """``boxes`` (T, 4): a person's x1 y1 x2 y2 in pixels, 25 a second. ``others`` (M, T, 4): everybody else, NaN where
    they were not seen.
    """

    boxes: Doubles
    others: Doubles


def motion(way: Way, posture: bool = False) -> Doubles:
    """→ (``FEATURES``,): speeds and changes of shape of the box; contact, distance and movement of who is nearest.

    ``posture``: and ``POSTURE`` numbers of how the body comes down or up, which tell a fall from a push-up.
    Raises ValueError for arrays of another shape, or no box at all.
    """
    boxes, others = way.boxes, way.others
    if boxes.ndim != 2 or boxes.shape[1:] != (4,) or not len(boxes) or others.shape[1:] != boxes.shape:
        raise ValueError(f"expected boxes (T, 4), T ≥ 1, and others (M, T, 4), got {boxes.shape} and {others.shape}")
    height = max(1.0, float(np.median(boxes[:, 3] - boxes[:, 1])))
    parts = [_travel(boxes / height), _shape(boxes, height), _company(way, height)]
    return np.concatenate([*parts, _posture(boxes)] if posture else parts)


def contact(way: Way) -> Doubles:
    """→ (M, T): share of the smaller box that both have in common when each reaches ``REACH`` further; 0 unseen."""
    own, other = _reaching(way.boxes)[None], _reaching(way.others)
    sides = np.minimum(own[..., 2:], other[..., 2:]) - np.maximum(own[..., :2], other[..., :2])
    smaller = np.maximum(1.0, np.minimum(_areas(own), _areas(other)))
    return np.asarray(np.nan_to_num(np.clip(sides, 0, None).prod(axis=-1) / smaller))


def without_doubles(way: Way) -> Way:
    """→ without tracks that are the same person once more."""
    own, other = way.boxes[None], way.others
    sides = np.clip(np.minimum(own[..., 2:], other[..., 2:]) - np.maximum(own[..., :2], other[..., :2]), 0, None)
    shared = sides.prod(axis=-1)
    overlap = shared / np.maximum(1e-6, _areas(own) + _areas(other) - shared)  # (M, T)
    seen = np.isfinite(overlap).sum(axis=1)
    mean = np.nansum(overlap, axis=1) / np.maximum(seen, 1)
    return Way(way.boxes, other[(seen > 0) & (mean < SAME_PERSON)])


def _reaching(boxes: Doubles) -> Doubles:
    reach = (boxes[..., 3:] - boxes[..., 1:2]) * REACH
    return np.concatenate([boxes[..., :1] - reach, boxes[..., 1:2], boxes[..., 2:3] + reach, boxes[..., 3:]], axis=-1)


def _areas(boxes: Doubles) -> Doubles:
    return np.asarray(np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1) + 0 * boxes[..., 0])


def _travel(boxes: Doubles) -> Doubles:
    """Speeds of feet and middle along both axes, how far and how straight the way is."""
    feet, middle = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1), _centres(boxes)
    found: list[float] = []
    for step in STEPS:
        for points in (feet, middle):
            moved = _moves(points, step)
            for speed in (np.hypot(*moved.T), np.abs(moved[:, 0]), np.abs(moved[:, 1])):
                found += _spread(speed)
    net = float(np.hypot(*(middle[-1] - middle[0])))
    length = float(np.hypot(*np.diff(middle[:: STEPS[0]], axis=0).T).sum()) if len(middle) > STEPS[0] else net
    seconds = len(boxes) / RATE_HZ
    return np.asarray([*found, net / seconds, length / seconds, net / max(length, 1e-3)])


def _moves(points: Doubles, step: int) -> Doubles:
    """(T, P) → (N, P): movements a second over ``step`` samples, or as many as there are; N ≥ 1."""
    step = max(1, min(step, len(points) - 1))
    moved = (points[step:] - points[:-step]) * (RATE_HZ / step)
    return moved if len(moved) else np.zeros((1, points.shape[1]))


def _shape(boxes: Doubles, height: float) -> Doubles:
    """Width against height, and how both change."""
    size = boxes[:, 2:] - boxes[:, :2]
    aspect = size[:, 0] / np.maximum(size[:, 1], 1)
    changes = np.abs(_moves(size / height, STEPS[0]))
    return np.asarray([*_spread(aspect), float(aspect.std()), *_spread(changes[:, 0]), *_spread(changes[:, 1])])


def _posture(boxes: Doubles) -> Doubles:
    """Height and width at the end against the beginning, and how fast top, middle and bottom move down (positive) and
    up, in heights of who stands tallest.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    widths, heights = np.maximum(1.0, sides).T
    third = max(1, len(boxes) // 3)
    tallest = max(1.0, float(np.quantile(heights, 0.9)))
    before, after = (float(np.median(part)) for part in (heights[:third], heights[-third:]))
    wide_before = math.log(float(np.median(widths[:third])) / before)
    wide_after = math.log(float(np.median(widths[-third:])) / after)
    lines = np.stack([boxes[:, 1], (boxes[:, 1] + boxes[:, 3]) / 2, boxes[:, 3]], axis=1) / tallest  # (T, 3)
    moved = _moves(lines, STEPS[1])
    shift = lines[-third:].mean(axis=0) - lines[:third].mean(axis=0)
    sizes = [math.log(after / before), math.log(heights[-1] / tallest), math.log(before / tallest)]
    shapes = [wide_before, wide_after, wide_after - wide_before]
    return np.asarray([*sizes, *moved.max(axis=0), *moved.min(axis=0), *shift, *shapes])


def _company(way: Way, height: float) -> Doubles:
    """Contact and distance to who is nearest, how fast that one comes or goes, how many are around."""
    if not len(way.others):
        return np.asarray([0.0, 0.0, 0.0, FAR, FAR, 0.0, 0.0])
    touching = contact(way).max(axis=0)
    away = np.hypot(*np.moveaxis(_centres(way.others) - _centres(way.boxes), -1, 0)) / height  # (M, T)
    away = np.nan_to_num(away, nan=FAR).clip(max=FAR)
    nearest = away.min(axis=0)
    change = np.abs(_moves(np.stack([nearest, 0 * nearest], axis=1), STEPS[0])[:, 0])
    around = min(6.0, float((away < 1.5).sum(axis=0).mean()))
    shares = [touching.mean(), touching.max(), (touching > 0).mean()]
    return np.asarray([*shares, nearest.mean(), nearest.min(), change.mean(), around])


def _centres(boxes: Doubles) -> Doubles:
    return np.asarray((boxes[..., :2] + boxes[..., 2:]) / 2)


def _spread(values: Doubles) -> list[float]:
    return [float(value) for value in np.quantile(values, QUANTILES)]
