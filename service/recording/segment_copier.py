"""Writes a camera's own H.264 pictures into fragmented MP4, as they came: nothing is encoded, nothing gets worse."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import av

from pipeline.sources.coded import CodedPicture
from service.recording.segment_files import FRAGMENTED_MP4, describe_start

_TICKS = 90_000
_TIME_BASE = Fraction(1, _TICKS)
_FRAGMENT_S = 1.0


class SegmentCopier:
    """One open video file; as ``SegmentWriter``, but for what is put in. The first picture has to be a keyframe.

    Raises OSError where the disk fails, in every method except ``abandon``. Not thread-safe.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int], start_s: float) -> None:
        """``start_s``: media time of the first picture."""
        self.frames = 0
        self.fragments = 0
        self._start_s = start_s
        self._last_pts = -1
        self._told_pts = -_TICKS
        height, width = size_hw
        self._container = av.open(str(path), "w", format="mp4", options=FRAGMENTED_MP4)
        self._container.metadata["comment"] = describe_start(start_s, overlay=False)
        self._stream = self._container.add_mux_stream("h264", width=width, height=height, time_base=_TIME_BASE)

    def write(self, coded: CodedPicture, time_s: float) -> bool:
        """One picture, shown at media time ``time_s`` → whether about a second has passed since that was last so."""
        pts = max(round((time_s - self._start_s) * _TICKS), self._last_pts + 1)
        packet = av.Packet(coded.data)
        packet.stream, packet.time_base = self._stream, _TIME_BASE
        packet.pts = packet.dts = self._last_pts = pts
        packet.is_keyframe = coded.keyframe
        self._container.mux(packet)
        self.frames += 1
        begins = pts - self._told_pts >= _FRAGMENT_S * _TICKS
        if begins:
            self._told_pts = pts
            self.fragments += 1
        return begins

    def close(self) -> None:
        """Completes the file, with an index for seeking."""
        self._container.close()

    def abandon(self) -> None:
        """Lets go of the file as it is."""
        with contextlib.suppress(OSError):
            self._container.close()
