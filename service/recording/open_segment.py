"""The segment that is being recorded: its video and the JSON lines beside it, under names that end in ``.part``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.entities import Frame, Image
from service.recording.segment_files import part_of, sidecar_of
from service.recording.segment_writer import SegmentWriter


class OpenSegment:
    """``path`` is the name it gets when it is committed. Raises OSError where the disk fails. Not thread-safe."""

    def __init__(self, path: Path, first: Frame, image: Image, preset: str, crf: int) -> None:
        self.path = path
        self._first, self._shape = first, tuple(image.shape)
        self._last_s: float | None = None
        self._video = SegmentWriter(part_of(path), (image.shape[0], image.shape[1]), preset, crf)
        try:
            self._sidecar = part_of(sidecar_of(path)).open("w", encoding="utf-8")
        except OSError:
            self._video.abandon()
            raise

    @property
    def fragments(self) -> int:
        return self._video.fragments

    def takes(self, frame: Frame, image: Image, segment_s: float) -> bool:
        """Whether the frame belongs into this segment: same picture, later, and before ``segment_s`` are full."""
        same_picture = tuple(image.shape) == self._shape and frame.epoch == self._first.epoch
        later = self._last_s is None or frame.time_s > self._last_s
        return same_picture and later and frame.time_s - self._first.time_s < segment_s

    def write(self, frame: Frame, image: Image, messages: Sequence[dict[str, Any]]) -> bool:
        """One picture (uint8 (H, W, 3) RGB) and its messages → whether it began a new fragment."""
        begins = self._video.write(image, frame.time_s)
        self._last_s = frame.time_s
        self.write_messages(messages)
        return begins

    def write_messages(self, messages: Sequence[dict[str, Any]]) -> None:
        lines = (json.dumps(message, ensure_ascii=False, separators=(",", ":")) for message in messages)
        self._sidecar.write("".join(f"{line}\n" for line in lines))
        self._sidecar.flush()  # to the system, which keeps it when this process is killed

    def close(self) -> None:
        """Completes both files; they are not committed yet."""
        try:
            self._video.close()
        finally:
            self._sidecar.close()

    def abandon(self) -> None:
        """Lets go of the files as they are."""
        self._video.abandon()
        with contextlib.suppress(OSError):
            self._sidecar.close()
