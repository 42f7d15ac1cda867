"""The segment that is being recorded: its video and the JSON lines beside it, under names that end in ``.part``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from pipeline.entities import Frame, Image
from pipeline.sources.coded import CodedPicture
from pipeline.sources.tape import Taped
from service.recording.segment_copier import SegmentCopier
from service.recording.segment_files import part_of, plain_sidecar_of
from service.recording.segment_writer import SegmentWriter

LONGEST_GOP_S = 10.0  # from one keyframe to the next; cameras that save on them have more


class CopyFailed(RuntimeError):
    """The camera's own pictures cannot be kept as they are: no fault of the disk."""


@contextlib.contextmanager
def copying() -> Iterator[None]:
    """What goes wrong inside, but for the disk, is about copying. Raises CopyFailed."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise CopyFailed(f"the camera's pictures cannot be copied ({type(error).__name__})") from error


class _Video(Protocol):
    fragments: int

    def close(self) -> None: ...

    def abandon(self) -> None: ...


class OpenSegment:
    """``path`` is the name it gets when it is committed. Raises OSError where the disk fails. Not thread-safe."""

    def __init__(self, path: Path, video: _Video, place: tuple[int, tuple[int, ...]], first_s: float) -> None:
        """``place``: the epoch and shape of its pictures. ``video`` is abandoned where the sidecar cannot be opened."""
        self.path = path
        self._video = video
        self._place, self._first_s = place, first_s
        self._last_s: float | None = None
        try:
            self._sidecar = part_of(plain_sidecar_of(path)).open("w", encoding="utf-8")
        except OSError:
            video.abandon()
            raise

    @property
    def fragments(self) -> int:
        return self._video.fragments

    def _follows(self, time_s: float, place: tuple[int, tuple[int, ...]]) -> bool:
        return place == self._place and (self._last_s is None or time_s > self._last_s)

    def _is_full(self, time_s: float, segment_s: float) -> bool:
        return time_s - self._first_s >= segment_s

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


class EncodedSegment(OpenSegment):
    """Of pictures that are encoded here."""

    def __init__(self, path: Path, first: Frame, image: Image, preset: str, crf: int, overlay: bool) -> None:
        self._writer = SegmentWriter(part_of(path), (image.shape[0], image.shape[1]), preset, crf, overlay)
        super().__init__(path, self._writer, (first.epoch, image.shape), first.time_s)

    def takes(self, frame: Frame, image: Image, segment_s: float) -> bool:
        """Whether the frame belongs into this segment: same picture, later, and before ``segment_s`` are full."""
        return self._follows(frame.time_s, (frame.epoch, image.shape)) and not self._is_full(frame.time_s, segment_s)

    def write(self, frame: Frame, image: Image) -> bool:
        """One picture, uint8 (H, W, 3) RGB → whether it began a new fragment."""
        begins = self._writer.write(image, frame.time_s)
        self._last_s = frame.time_s
        return begins


class CopiedSegment(OpenSegment):
    """Of the camera's own pictures. It begins and ends at keyframes, so it may be longer than asked for, but not by
    more than LONGEST_GOP_S: then it ends, and pictures are encoded until the next keyframe.
    """

    def __init__(self, path: Path, first: Taped) -> None:
        self._copier = SegmentCopier(part_of(path), first.size_hw, first.time_s)
        super().__init__(path, self._copier, (first.epoch, first.size_hw), first.time_s)

    def takes(self, taped: Taped, segment_s: float) -> bool:
        """Whether it goes on with this picture, and nothing that the picture builds upon is lost."""
        keyframe = taped.coded.keyframe
        ends = self._is_full(taped.time_s, segment_s if keyframe else segment_s + LONGEST_GOP_S)
        follows = self._follows(taped.time_s, (taped.epoch, taped.size_hw))
        return follows and not ends and (taped.whole or keyframe)

    def has(self, frame: Frame) -> bool:
        """Whether the frame's picture, or a later one of the same epoch, is in it."""
        return frame.epoch == self._place[0] and self._last_s is not None and frame.time_s <= self._last_s

    def write(self, coded: CodedPicture, time_s: float) -> bool:
        """→ whether about a second has passed since that was last so."""
        begins = self._copier.write(coded, time_s)
        self._last_s = time_s
        return begins
