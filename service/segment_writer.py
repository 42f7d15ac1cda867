"""Writes one segment: H.264 in fragmented MP4 with the frames' own timestamps, and its JSON lines."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO

import av
import cv2
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

from pipeline.entities import Frame, Image
from service.segment_files import FRAGMENTED_MP4, describe_start, part_of, sidecar_of

_TICKS = 90_000  # a second; the clock of RTP and MPEG video
_TIME_BASE = Fraction(1, _TICKS)
_GOP_S = 1.0  # a fragment is written when the next keyframe comes, so this is what a kill can cost


class SegmentWriter:
    """One open segment. ``path`` is its final name; until it is committed its files end in ``.part``.

    Raises OSError where the disk fails, in every method except ``abandon``. Not thread-safe.
    """

    def __init__(self, path: Path, first: Frame, image: Image, preset: str, crf: int) -> None:
        self.path = path
        self.fragments = 0
        self._first, self._shape = first, tuple(image.shape)
        self._last_pts, self._key_pts = -1, -_TICKS
        self._sidecar: TextIO | None = None
        self._container = av.open(str(part_of(path)), "w", format="mp4", options=FRAGMENTED_MP4)
        try:
            self._container.metadata["comment"] = describe_start(first.time_s)
            self._stream = self._add_stream(preset, crf)
            self._sidecar = part_of(sidecar_of(path)).open("w", encoding="utf-8")
        except BaseException:
            self.abandon()
            raise

    def takes(self, frame: Frame, image: Image, segment_s: float) -> bool:
        """Whether the frame belongs into this segment: same picture, later, and before ``segment_s`` are full."""
        elapsed_s = frame.time_s - self._first.time_s
        forward = round(elapsed_s * _TICKS) > self._last_pts
        same_picture = tuple(image.shape) == self._shape and frame.epoch == self._first.epoch
        return same_picture and forward and elapsed_s < segment_s

    def write(self, frame: Frame, image: Image, messages: Sequence[dict[str, Any]]) -> bool:
        """One picture (uint8 (H, W, 3) RGB) and its messages → whether it began a new fragment."""
        picture = _to_yuv(image)
        picture.pts, picture.time_base = round((frame.time_s - self._first.time_s) * _TICKS), _TIME_BASE
        begins = picture.pts - self._key_pts >= _GOP_S * _TICKS
        if begins:
            picture.pict_type = PictureType.I
            self._key_pts = picture.pts
            self.fragments += 1
        self._last_pts = picture.pts
        for packet in self._stream.encode(picture):
            self._container.mux(packet)
        self.write_messages(messages)
        return begins

    def write_messages(self, messages: Sequence[dict[str, Any]]) -> None:
        if self._sidecar is None or not messages:
            return
        lines = (json.dumps(message, ensure_ascii=False, separators=(",", ":")) for message in messages)
        self._sidecar.write("".join(f"{line}\n" for line in lines))
        self._sidecar.flush()  # to the system, which keeps it when this process is killed

    def close(self) -> None:
        """Completes both files; they are not committed yet."""
        try:
            for packet in self._stream.encode():
                self._container.mux(packet)
        finally:
            try:
                self._container.close()
            finally:
                if self._sidecar is not None:
                    self._sidecar.close()

    def abandon(self) -> None:
        """Lets go of the files as they are."""
        with contextlib.suppress(OSError):
            self._container.close()
        if self._sidecar is not None:
            with contextlib.suppress(OSError):
                self._sidecar.close()

    def _add_stream(self, preset: str, crf: int) -> av.VideoStream:
        # zerolatency: the encoder holds no frame back, which a kill would cost besides the open fragment.
        options = {"preset": preset, "crf": str(crf), "tune": "zerolatency", "sc_threshold": "0", "forced-idr": "1"}
        stream = self._container.add_stream("libx264", options=options)
        codec = stream.codec_context
        codec.width, codec.height = self._shape[1] & ~1, self._shape[0] & ~1
        codec.pix_fmt, codec.time_base, codec.gop_size, codec.thread_count = "yuv420p", _TIME_BASE, 10_000, 1
        # What OpenCV's conversion makes; a player that has to guess takes HD pictures for BT.709.
        codec.color_range, codec.colorspace = ColorRange.MPEG, Colorspace.ITU601
        codec.color_primaries = codec.color_trc = 1  # BT.709: those of sRGB, near enough
        return stream


def _to_yuv(image: Image) -> av.VideoFrame:
    """uint8 (H, W, 3) RGB → YUV 4:2:0, which needs even sizes: an odd last row or column is left out."""
    height, width = image.shape[0] & ~1, image.shape[1] & ~1
    planes = cv2.cvtColor(image[:height, :width], cv2.COLOR_RGB2YUV_I420)  # uint8 (H × 3/2, W)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")
