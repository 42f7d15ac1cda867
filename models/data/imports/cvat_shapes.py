"""CVAT's shapes as boxes: a box as it is, turned ones, polygons, ellipses and masks by what they lie in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Floats

READ_SHAPES = frozenset({"box", "polygon", "ellipse", "mask"})
_SHAPES = READ_SHAPES | {"polyline", "points", "cuboid", "skeleton"}
_UNDEFINED = "__undefined__"  # what CVAT writes where nobody chose a value
_FARTHEST, _LAST_FRAME = 1e6, 2**31  # pixels; any video ends before


@dataclass(frozen=True, slots=True)
class Shape:
    """One box of one person, ``action`` empty where nobody said what he does."""

    frame: int  # from 1
    outside: bool
    box_xyxy: Floats  # float32 (4,) pixels; of no meaning where it is outside
    action: str

    @property
    def has_area(self) -> bool:
        return bool((self.box_xyxy[2:] > self.box_xyxy[:2]).all())


def shapes_in(element: Element) -> Iterator[Element]:
    """What is drawn directly in a track or an image, whatever its shape."""
    return (child for child in element if child.tag in _SHAPES)


def read_shape(element: Element, frame: str | None, action: str) -> Shape:
    """One of ``READ_SHAPES``; ``frame`` counts from 0. Raises ValueError that says what was expected."""
    if frame is None or not frame.strip().isdecimal() or int(frame[:12]) >= _LAST_FRAME:
        raise ValueError(f"expected a frame from 0 on, got {frame!r}")
    outside = element.get("outside", "0") == "1"
    box = np.zeros(4, np.float32) if outside else _box(element)
    return Shape(int(frame) + 1, outside, box, "" if action == _UNDEFINED else action)


def _box(element: Element) -> Floats:
    if element.tag == "polygon":
        corners = _points(element)
    elif element.tag == "mask":
        left, top, width, height = _numbers(element, "left", "top", "width", "height")
        corners = np.array([[left, top], [left + width, top + height]])
    elif element.tag == "ellipse":
        x, y, wide, high = _numbers(element, "cx", "cy", "rx", "ry")
        return _around(np.add(_ellipse(wide, high, _turn(element)), (x, y)))
    else:
        x1, y1, x2, y2 = _numbers(element, "xtl", "ytl", "xbr", "ybr")
        if x2 < x1 or y2 < y1 or not _turn(element):
            return np.array([x1, y1, x2, y2], np.float32)
        corners = _turned(np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]), _turn(element))
    return _around(corners)


def _around(corners: NDArray[np.float64]) -> Floats:
    """(N, 2) → float32 (4,)."""
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32)


def _turned(corners: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """(4, 2) corners, turned by ``angle`` (radians, clockwise as y points down) about their middle."""
    middle = corners.mean(axis=0)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turned: NDArray[np.float64] = (corners - middle) @ turn + middle
    return turned


def _ellipse(wide: float, high: float, angle: float) -> NDArray[np.float64]:
    """Half axes → (2, 2): two corners of what a turned ellipse about 0, 0 lies in."""
    reach = np.hypot([wide * math.cos(angle), wide * math.sin(angle)], [high * math.sin(angle), high * math.cos(angle)])
    return np.stack([-reach, reach])


def _turn(element: Element) -> float:
    (degrees,) = _numbers(element, "rotation") if element.get("rotation") else (0.0,)
    return math.radians(degrees % 360)


def _numbers(element: Element, *names: str) -> list[float]:
    try:
        found = [float(element.get(name, "nan")) for name in names]
    except ValueError:
        found = [math.nan]
    if not all(abs(number) <= _FARTHEST for number in found):  # what is no number is not, either
        raise ValueError(f"expected numbers {', '.join(names)}, got {', '.join(repr(element.get(n)) for n in names)}")
    return found


def _points(element: Element) -> NDArray[np.float64]:
    """``1,2;3,4;…`` → (N, 2)."""
    text = element.get("points", "")
    try:
        corners = np.array([[float(number) for number in pair.split(",")] for pair in text.split(";")])
    except ValueError:
        corners = np.zeros(0)
    if corners.ndim != 2 or corners.shape[1] != 2 or not (np.abs(corners) <= _FARTHEST).all():
        raise ValueError(f"expected points x,y;x,y;…, got {text[:60]!r}")
    return corners
