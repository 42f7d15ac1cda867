"""Writes H.264 in fragmented MP4 with the frames' own timestamps: recorded segments and annotated files."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

from pipeline.entities import Image
from service.recording.segment_files import FRAGMENTED_MP4, describe_start

_TICKS = 90_000  # a second; the clock of RTP and MPEG video
_TIME_BASE = Fraction(1, _TICKS)
_GOP_S = 1.0


class SegmentWriter:
    """One open video file. What is written up to the last fragment plays even if ``close`` is never reached.

    ``size_hw`` is the pictures' size; odd ones lose their last row or column, which YUV 4:2:0 cannot hold, and a
    picture of another size is scaled. ``overlay``: whether they were drawn upon, which the file says. Raises ValueError
    for pictures too small to encode, OSError where the disk fails, in every method except ``abandon``. Not thread-safe.
    """

    def __init__(
        self, path: Path, size_hw: tuple[int, int], preset: str = "veryfast", crf: int = 23, overlay: bool = True
    ) -> None:
        if min(size_hw) < 2:
            raise ValueError(f"expected pictures of at least 2 × 2 pixels, got {size_hw[1]} × {size_hw[0]}")
        self.frames = 0
        self.fragments = 0
        self._overlay = overlay
        self._size_hw = (size_hw[0] & ~1, size_hw[1] & ~1)
        self._start_s = 0.0
        self._last_pts: int = -1
        self._key_pts: int = -_TICKS
        self._container = av.open(str(path), "w", format="mp4", options=FRAGMENTED_MP4)
        try:
            self._stream = self._add_stream(preset, crf)
        except BaseException:
            self.abandon()
            raise

    def write(self, image: Image, time_s: float) -> bool:
        """One picture, uint8 (H, W, 3) RGB, at media time ``time_s`` → whether it began a new fragment.

        The first picture's time becomes 0 in the file. A time that does not go forward counts as just after the last.
        """
        if self.frames == 0:
            self._start_s = time_s
            self._container.metadata["comment"] = describe_start(time_s, self._overlay)
        pts = max(round((time_s - self._start_s) * _TICKS), self._last_pts + 1)
        picture = self._to_yuv(image)
        picture.pts, picture.time_base = pts, _TIME_BASE
        begins = pts - self._key_pts >= _GOP_S * _TICKS
        if begins:
            picture.pict_type = PictureType.I
            self._key_pts = pts
        for packet in self._stream.encode(picture):
            self._container.mux(packet)
        self._last_pts = pts
        self.frames += 1
        self.fragments += begins
        return begins

    def close(self) -> None:
        """Completes the file, with an index for seeking."""
        try:
            for packet in self._stream.encode():
                self._container.mux(packet)
        finally:
            self._container.close()

    def abandon(self) -> None:
        """Lets go of the file as it is."""
        with contextlib.suppress(OSError):
            self._container.close()

    def _add_stream(self, preset: str, crf: int) -> av.VideoStream:
        # zerolatency: the encoder holds no frame back, which a kill would cost besides the open fragment.
        options = {"preset": preset, "crf": str(crf), "tune": "zerolatency", "sc_threshold": "0", "forced-idr": "1"}
        stream = self._container.add_stream("libx264", options=options)
        codec = stream.codec_context
        codec.height, codec.width = self._size_hw
        codec.pix_fmt, codec.time_base, codec.gop_size, codec.thread_count = "yuv420p", _TIME_BASE, 10_000, 1
        # What OpenCV's conversion makes; a player that has to guess takes HD pictures for BT.709.
        codec.color_range, codec.colorspace = ColorRange.MPEG, Colorspace.ITU601
        codec.color_primaries = codec.color_trc = 1  # BT.709: those of sRGB, near enough
        return stream

    def _to_yuv(self, image: Image) -> av.VideoFrame:
        height, width = self._size_hw
        if (image.shape[0] & ~1, image.shape[1] & ~1) != self._size_hw:
            image = _fitted(image, self._size_hw)
        # OpenCV's conversion takes a third of the time of FFmpeg's.
        planes = cv2.cvtColor(image[:height, :width], cv2.COLOR_RGB2YUV_I420)  # uint8 (H × 3/2, W)
        return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def _fitted(image: Image, size_hw: tuple[int, int]) -> Image:
    """uint8 (H, W, 3) → uint8 (*size_hw, 3), not stretched: black beside or above a picture of another shape."""
    scale = min(size_hw[0] / image.shape[0], size_hw[1] / image.shape[1])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    top, left = (size_hw[0] - height) // 2, (size_hw[1] - width) // 2
    fitted = np.zeros((*size_hw, 3), np.uint8)
    fitted[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return fitted
