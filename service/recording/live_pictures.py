"""Pictures without overlay for whoever watches several cameras: when one is due, and how large it has to be."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2

from pipeline.entities import Image

SMALL_WIDTH, SMALL_PERIOD_S = 640, 0.2  # one tile of many
FULL_WIDTH, FULL_PERIOD_S = 1920, 0.1  # the one that is looked at


class LivePictures:
    """``watch`` may be called on another thread than the rest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._small_until = self._full_until = self._next_s = 0.0

    def watch(self, seconds: float, full: bool) -> None:
        """Somebody looks for so long: in full, or at a small picture. All get what the most demanding one wants."""
        until = self._clock() + seconds
        if full:
            self._full_until = until
        else:
            self._small_until = until

    @property
    def until(self) -> float:
        """Monotonic time at which nobody looks any more."""
        return max(self._small_until, self._full_until)

    def due(self) -> bool:
        """Whether the present picture should be sent; one that should counts as sent."""
        now = self._clock()
        if now > self.until or now < self._next_s:
            return False
        self._next_s = now + (FULL_PERIOD_S if now <= self._full_until else SMALL_PERIOD_S)
        return True

    def fitted(self, image: Image) -> Image:
        """→ uint8 (h, w, 3) RGB: the picture, made smaller where nobody needs it larger."""
        most = FULL_WIDTH if self._clock() <= self._full_until else SMALL_WIDTH
        height, width = image.shape[:2]
        if width <= most:
            return image
        smaller: Image = cv2.resize(image, (most, max(1, round(height * most / width))), interpolation=cv2.INTER_AREA)
        return smaller
