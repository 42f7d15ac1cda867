"""A video file at a camera's pace: whoever asks late gets the newest picture, as from a camera."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from pipeline.entities import Image


class FileCamera:
    """Loops for ever. Raises ValueError for a file without pictures."""

    def __init__(self, video: Path) -> None:
        self._capture = cv2.VideoCapture(str(video))
        self._rate = self._capture.get(cv2.CAP_PROP_FPS)
        if not self._rate or not self._capture.grab():
            raise ValueError(f"expected a video, got {video}")
        self._begin = time.monotonic()
        self._index = 0  # of the picture that was grabbed last

    @property
    def now_s(self) -> float:
        return time.monotonic() - self._begin

    def newest(self) -> tuple[Image, float]:
        """Waits for the next picture where the last is still the newest. → uint8 (H, W, 3) BGR, when it was taken."""
        wanted = max(self._index + 1, int(self.now_s * self._rate))
        time.sleep(max(0.0, wanted / self._rate - self.now_s))
        while self._index < wanted:
            self._grab()
        more, image = self._capture.retrieve()
        if not more:
            raise ValueError("the video cannot be decoded")
        return np.asarray(image, np.uint8), wanted / self._rate

    def _grab(self) -> None:
        if not self._capture.grab():
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            self._capture.grab()
        self._index += 1
