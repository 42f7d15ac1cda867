"""Changes a clip as another camera, light or stream would have, the same way in all its pictures.

Library: albumentationsx, imported as ``albumentations``. It is the maintained successor of albumentations, applies one
draw to all pictures of a clip (``images=``), and is AGPL-3.0 as this project is. albumentations itself ended with
2.0.8 and asks for opencv-python-headless, which overwrites the files of the opencv-python installed here.
It would report its use to its maker: that is switched off here before it is imported, and again in every ``Compose``.
Noise is our own: the library repeats one grain in all pictures, a dark sensor makes a new one each time.
"""

from __future__ import annotations

import os

os.environ["ALBUMENTATIONS_NO_TELEMETRY"] = "1"
os.environ["ALBUMENTATIONS_OFFLINE"] = "1"
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # read by its predecessors

from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.batches.augment_config import (
    DEFAULT_AUGMENTATION,
    AugmentConfig,
    ClipDraw,
    ColourDraw,
    LowLightDraw,
    draw_clip,
)
from models.errors import DatasetError
from pipeline.crops import PADDING_VALUE

__all__ = ["AugmentConfig", "ClipAugmenter", "ClipDraw", "augment_clip", "augment_flow"]

Clip = NDArray[np.uint8]  # (T, S, S, 3) RGB
Flow = NDArray[np.float32]  # (T, S, S, 2) x, y in [-1, 1]


class ClipAugmenter:
    """Draws and applies. Holds no state but its configuration: one may serve many threads."""

    def __init__(self, config: AugmentConfig = DEFAULT_AUGMENTATION, seed: int = 0) -> None:
        self._config = config
        self._seed = seed

    def draw(self, draw: int | np.random.Generator) -> ClipDraw:
        """The draw of this number (the same for ever under one seed), or the next from a generator."""
        rng = np.random.default_rng([self._seed, draw]) if isinstance(draw, int) else draw
        return draw_clip(self._config, rng)

    def __call__(self, clip: Clip, draw: int | np.random.Generator) -> Clip:
        """uint8 (T, S, S, 3) → the same shape, newly allocated unless nothing changes. ``draw``: not below 0."""
        return augment_clip(clip, self.draw(draw))


def augment_clip(clip: Clip, draw: ClipDraw) -> Clip:
    """Apply one draw to every picture: uint8 (T, H, W, 3) RGB → the same. Raises DatasetError for another array.

    In the order of the real thing: lens and sensor, stream, and then the crop, whose padding no night darkens.
    """
    if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8 or len(clip) == 0:
        raise DatasetError(f"expected a uint8 (T, H, W, 3) clip with pictures in it, got {clip.dtype} {clip.shape}")
    clip = _apply(_optics(draw, clip.shape[2]), clip)
    if draw.low_light is not None:
        clip = _dim(clip, draw.low_light)
    return _apply([*_transmission(draw), *_geometry(draw, PADDING_VALUE)], clip)


def augment_flow(flow: Flow, draw: ClipDraw) -> Flow:
    """The geometry of a draw for optical flow: float32 (T, H, W, 2) in [-1, 1] → the same.

    Vectors move with their pixels and change as these do: a flip negates x, a zoom lengthens them. Clipped to [-1, 1].
    """
    moved = _apply(_geometry(draw, 0), flow)
    factors = np.array([-1.0 if draw.flip else 1.0, 1.0], np.float32) * np.array(draw.zoom_xy, np.float32)
    return np.asarray(np.clip(moved * factors, -1, 1), np.float32)


def _apply(transforms: list[Any], clip: NDArray[Any]) -> NDArray[Any]:
    """Every transform given is certain and has fixed numbers, so all pictures get the same."""
    if not transforms:
        return clip
    compose = A.Compose(transforms, seed=0, telemetry=False)
    return np.ascontiguousarray(compose(images=clip)["images"])


def _geometry(draw: ClipDraw, fill: int) -> list[Any]:
    transforms = [A.HorizontalFlip(p=1)] if draw.flip else []
    if draw.moves:
        scale = {axis: (zoom, zoom) for axis, zoom in zip("xy", draw.zoom_xy, strict=True)}
        shift = {axis: (share, share) for axis, share in zip("xy", draw.shift_xy, strict=True)}
        transforms.append(A.Affine(scale=scale, translate_percent=shift, keep_ratio=False, fill=fill, p=1))
    return transforms


def _optics(draw: ClipDraw, width: int) -> list[Any]:
    transforms = [] if draw.colour is None else [_jitter(draw.colour)]
    if draw.grey:
        transforms.append(A.ToGray(p=1))
    if draw.blur_sigma is not None:
        sigma = draw.blur_sigma * width / 224
        transforms.append(A.GaussianBlur(sigma_range=(sigma, sigma), p=1))
    if draw.motion is not None:
        length, angle = draw.motion
        fixed = {"angle_range": (angle, angle), "direction_range": (0.0, 0.0), "allow_shifted": False}
        transforms.append(A.MotionBlur(blur_range=(length, length), **fixed, p=1))
    return transforms


def _jitter(colour: ColourDraw) -> Any:
    return A.ColorJitter(
        brightness_range=(colour.brightness, colour.brightness),
        contrast_range=(colour.contrast, colour.contrast),
        saturation_range=(colour.saturation, colour.saturation),
        hue_range=(colour.hue, colour.hue),
        p=1,
    )


def _transmission(draw: ClipDraw) -> list[Any]:
    transforms = []
    if draw.scale is not None:
        ways = {"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR}
        transforms.append(A.Downscale(scale_range=(draw.scale, draw.scale), interpolation_pair=ways, p=1))
    if draw.quality is not None:
        transforms.append(A.ImageCompression(quality_range=(draw.quality, draw.quality), p=1))
    return transforms


def _dim(clip: Clip, dark: LowLightDraw) -> Clip:
    """Less light and the grain of an amplified sensor: one strength for the clip, a new grain in every picture.

    The grain is cut at a random place from one field twice as large, which costs a tenth of drawing it anew.
    """
    rng = np.random.default_rng(dark.seed)
    height, width = clip.shape[1:3]
    field = np.rint(rng.standard_normal((2 * height, 2 * width, 3), np.float32) * (dark.noise * 255)).astype(np.int16)
    table = np.rint(np.arange(256) * dark.gain).astype(np.uint8)
    tops, lefts = rng.integers(0, height + 1, len(clip)), rng.integers(0, width + 1, len(clip))
    dimmed = cv2.LUT(clip.reshape(-1, width, 3), table).reshape(clip.shape)  # (T·H, W, 3) for one call
    for picture, top, left in zip(dimmed, tops, lefts, strict=True):
        cv2.add(picture, field[top : top + height, left : left + width], dst=picture, dtype=cv2.CV_8U)
    return np.asarray(dimmed, np.uint8)
