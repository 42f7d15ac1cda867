"""What cameras do to pictures: night, infrared, noise, blur and hard compression, for training only.

Written on OpenCV: the pictures must be spoilt inside ultralytics' own loader, after mosaic and scaling, without a
second augmentation library there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Image


@dataclass(frozen=True)
class SurveillanceLook:
    """How often each effect is drawn; several may meet in one picture."""

    low_light: float = 0.25
    infrared: float = 0.15
    noise: float = 0.2
    blur: float = 0.15
    resample: float = 0.15
    compression: float = 0.3

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """uint8 (H, W, 3) of any channel order → the same shape; the same ``rng`` state gives the same picture."""
        effects: list[tuple[float, Callable[[Image, np.random.Generator], Image]]] = [
            (self.low_light, low_light),
            (self.infrared, infrared),
            (self.blur, blur),
            (self.resample, resample),
            (self.noise, noise),
            (self.compression, compression),
        ]
        for probability, effect in effects:
            if rng.random() < probability:
                image = effect(image, rng)
        return image


def low_light(image: Image, rng: np.random.Generator) -> Image:
    """Darker by a gamma of 1.3-2.8 and a gain of 0.35-0.9, with the shot noise of few photons."""
    gamma, gain = rng.uniform(1.3, 2.8), rng.uniform(0.35, 0.9)
    table = 255.0 * gain * (np.arange(256) / 255.0) ** gamma
    dark = cv2.LUT(image, table.astype(np.float32))
    spread = np.sqrt(dark + 1.0) * rng.uniform(0.1, 0.7)
    return _to_uint8(dark + rng.standard_normal(image.shape, np.float32) * spread)


def infrared(image: Image, rng: np.random.Generator) -> Image:
    """Grey, with changed contrast: most cameras at night."""
    grey = image.mean(axis=2, dtype=np.float32)
    changed = (grey - 128) * rng.uniform(0.7, 1.3) + 128 + rng.uniform(-20, 20)
    return _to_uint8(np.repeat(changed[..., None], 3, axis=2))


def noise(image: Image, rng: np.random.Generator) -> Image:
    return _to_uint8(image + rng.standard_normal(image.shape, np.float32) * rng.uniform(3, 14))


def blur(image: Image, rng: np.random.Generator) -> Image:
    """Out of focus, or moved along a line of 3-9 pixels."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 1.8)), np.uint8)
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1.0 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1.0)
    kernel = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
    return np.asarray(cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6)), np.uint8)


def resample(image: Image, rng: np.random.Generator) -> Image:
    """Recorded at 35-80 % of the size."""
    height, width = image.shape[:2]
    share = rng.uniform(0.35, 0.8)
    small = cv2.resize(image, (max(1, int(width * share)), max(1, int(height * share))), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def compression(image: Image, rng: np.random.Generator) -> Image:
    """JPEG of quality 20-70, near what cheap recorders keep."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 71))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _to_uint8(values: NDArray[Any]) -> Image:
    return np.asarray(np.clip(values, 0, 255), np.uint8)
