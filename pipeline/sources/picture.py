"""A decoded picture and how it is to be seen: upright, not mirrored, its pixels square.

Recordings say with a display matrix how the camera was held (ISO 14496-12, tkhd; H.264 and HEVC SEI; EXIF), and with a
pixel aspect that their pixels are no squares. Networks, overlays and recordings know neither: both are applied here.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.sidedata.sidedata import Type

from pipeline.entities import Image
from pipeline.sources.coded import CodedPicture

_SQUARE_ENOUGH = 0.02  # nobody sees a person 2 % wider; resampling costs sharpness and time
_MAX_ASPECT = 4.0  # what is no camera's: 2.18 is the widest in use
_RIGHT_ANGLE_TOLERANCE_DEG = 1.0
_FLAT = 0.01  # a matrix that maps the picture to (almost) a line says nothing


@dataclass(frozen=True, slots=True)
class Turn:
    """What makes a stored picture upright: swap rows with columns, then mirror, then turn by what is left.

    ``angle_deg`` is clockwise, about the centre, and keeps the size; only matrices of no right angle have one.
    """

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False
    angle_deg: float = 0.0

    @classmethod
    def from_matrix(cls, matrix: tuple[int, ...]) -> Turn:
        """``matrix``: the nine numbers of FFmpeg's display matrix. As its player does; a flat one counts as none."""
        a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
        x_scale, y_scale = math.hypot(a, c), math.hypot(b, d)
        if abs(a * d - b * c) <= _FLAT * x_scale * y_scale:
            return cls()
        angle_deg = math.degrees(math.atan2(b / y_scale, a / x_scale)) % 360.0
        quarter = round(angle_deg / 90.0) % 4
        if abs((angle_deg + 45.0) % 90.0 - 45.0) >= _RIGHT_ANGLE_TOLERANCE_DEG:
            return cls(angle_deg=angle_deg)
        if quarter == 1:
            return cls(transposed=True, mirrored_x=c <= 0)
        if quarter == 2:
            return cls(mirrored_x=a < 0, mirrored_y=d < 0)
        if quarter == 3:
            return cls(transposed=True, mirrored_x=c < 0, mirrored_y=True)
        return cls(mirrored_y=d < 0)

    def apply(self, image: Image) -> Image:
        """uint8 (H, W, 3) → uint8 (H, W, 3), or (W, H, 3) when transposed."""
        if self.transposed:
            image = image.swapaxes(0, 1)
        if self.mirrored_x:
            image = image[:, ::-1]
        if self.mirrored_y:
            image = image[::-1]
        image = np.ascontiguousarray(image)
        return _rotated(image, self.angle_deg) if self.angle_deg else image


UPRIGHT = Turn()


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture, not yet converted. ``pts_s``: presentation time in seconds, None where the source has none.

    ``square_wh``: its size with square pixels, before it is turned. ``waited_s``: how long there was nothing to read
    before it came.
    """

    frame: Any  # av.VideoFrame
    pts_s: float | None
    square_wh: tuple[int, int]
    turn: Turn = UPRIGHT
    waited_s: float = 0.0
    coded: tuple[CodedPicture, ...] | None = None  # what it was decoded from, where that was asked for and can be kept

    @property
    def size_hw(self) -> tuple[int, int]:
        """As it is seen."""
        width, height = self.square_wh
        return (width, height) if self.turn.transposed else (height, width)


def to_rgb(picture: Picture) -> Image:
    """→ uint8 (H, W, 3) RGB of ``picture.size_hw``. Raises ValueError, OSError, MemoryError."""
    width, height = picture.square_wh
    frame = picture.frame.reformat(width=width, height=height, format="rgb24", threads=1)  # more, and each starts them
    image: Image = frame.to_ndarray()
    return image if picture.turn == UPRIGHT else picture.turn.apply(image)


class HeldTurn:
    """The turn of each av.VideoFrame of one video, looked up where its size or angle is not that of the one before.

    PyAV ties a frame that is asked for its side data into a circle of references, so that its memory (and its
    scaler's threads) would wait for the garbage collector: that is asked of a few frames only.
    """

    def __init__(self) -> None:
        self._signs: tuple[int, int, int] | None = None
        self._turn = UPRIGHT

    def of(self, frame: Any) -> Turn:
        signs = (frame.width, frame.height, frame.rotation)
        if signs != self._signs:
            self._signs, self._turn = signs, _turn_of(frame)
        return self._turn


def _turn_of(frame: Any) -> Turn:
    """What an av.VideoFrame says about how it was held."""
    try:
        matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    except ValueError:  # PyAV can list no side data where one kind is newer than it
        quarters = round(frame.rotation / 90.0) % 4  # counter-clockwise
        return (UPRIGHT, Turn(True, False, True), Turn(False, True, True), Turn(True, True, False))[quarters]
    return UPRIGHT if matrix is None else Turn.from_matrix(struct.unpack("=9i", bytes(matrix)))


def square_size(size_wh: tuple[int, int], pixel_aspect: Fraction | None, max_pixels: int) -> tuple[int, int]:
    """The size at which a picture of ``size_wh`` has square pixels; ``pixel_aspect`` is a pixel's width by its height.

    It is stretched, so that no pixel is lost, and shrunk where stretched it would have more than ``max_pixels``. An
    aspect that no camera has counts as none.
    """
    width, height = size_wh
    aspect = float(pixel_aspect) if pixel_aspect is not None and pixel_aspect > 0 else 1.0
    if not 1.0 / _MAX_ASPECT <= aspect <= _MAX_ASPECT or abs(math.log(aspect)) < _SQUARE_ENOUGH:
        return size_wh
    stretched = width * height * max(aspect, 1.0 / aspect) <= max_pixels
    if (aspect > 1.0) == stretched:
        return _even(width * aspect), height
    return width, _even(height / aspect)


def _even(length: float) -> int:
    """Encoders of video want even sizes."""
    return max(2, 2 * round(length / 2))


def _rotated(image: Image, clockwise_deg: float) -> Image:
    """uint8 (H, W, 3) → the same size, turned about its centre, black where nothing was."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -clockwise_deg, 1.0)
    turned: Image = cv2.warpAffine(image, matrix, (width, height))
    return turned
