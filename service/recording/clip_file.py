"""A clip out of recorded segments: their packets copied from a keyframe on, nothing encoded anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from service.recording.segment_files import sync_directory, sync_file

PART = ".part"
_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True, slots=True)
class Source:
    """One finished segment; ``started_at`` is the Unix time of its first frame."""

    path: Path
    started_at: float


def cut_clip(sources: Sequence[Source], begin: float, end: float, target: Path) -> float:
    """Writes what was recorded from Unix time ``begin`` (the keyframe before it) to ``end``. → its length in seconds.

    ``sources`` in order. A segment of another size or coding ends the clip: one MP4 cannot hold both. Raises ValueError
    where nothing was recorded in that time or a segment cannot be read, OSError where the disk fails; no file is left.
    """
    part = target.with_name(target.name + PART)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        length_s = _write(sources, (begin, end), part)
        sync_file(part)
        part.replace(target)
        sync_directory(target.parent)
    finally:
        part.unlink(missing_ok=True)
    return length_s


def _write(sources: Sequence[Source], span: tuple[float, float], part: Path) -> float:
    with av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as out:
        copy = _Copy(out)
        for source in sources:
            try:
                goes_on = copy.add(source, *span)
            except (av.FFmpegError, IndexError) as error:
                raise ValueError(f"{source.path.name} cannot be read: {type(error).__name__}") from error
            if not goes_on:
                break
        if copy.stream is None:
            raise ValueError("nothing was recorded in that time")
        return float(copy.length * _TIME_BASE)


class _Copy:
    """The clip that is being written."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self.stream: Any = None
        self._coding: tuple[Any, ...] = ()
        self._first_at = 0.0
        self._last = -1
        self.length = 0  # in 1/90000 s

    def add(self, source: Source, begin: float, end: float) -> bool:
        """→ False where the segment cannot be a part of the same file."""
        with av.open(str(source.path), format="mp4") as container:
            video = container.streams.video[0]
            for packet in within(container.demux(video), begin - source.started_at, end - source.started_at):
                if not self._begin(video, source.started_at + float(packet.pts * packet.time_base)):
                    return False
                self._put(packet, source)
        return True

    def _begin(self, video: Any, at: float) -> bool:
        coding = (video.codec_context.name, video.width, video.height, bytes(video.codec_context.extradata or b""))
        if self.stream is None:
            self.stream, self._coding, self._first_at = self._out.add_stream_from_template(video), coding, at
        return coding == self._coding

    def _put(self, packet: Any, source: Source) -> None:
        at = source.started_at + float(packet.pts * packet.time_base) - self._first_at
        ticks = max(round(at / _TIME_BASE), self._last + 1)
        duration = round((packet.duration or 0) * packet.time_base / _TIME_BASE)
        packet.time_base, packet.stream = _TIME_BASE, self.stream
        packet.pts = packet.dts = self._last = ticks  # recordings have no frames that are shown out of order
        packet.duration = duration
        self.length = ticks + duration
        self._out.mux(packet)


def within(packets: Iterator[Any], begin_s: float, end_s: float) -> Iterator[Any]:
    """→ those from the last keyframe at or before ``begin_s`` to ``end_s``, seconds of the segment."""
    waiting: list[Any] = []  # from the newest keyframe before the beginning on
    for packet in packets:
        if not packet.size or packet.pts is None:
            continue
        at = float(packet.pts * packet.time_base)
        if at > end_s:
            return
        if at > begin_s:
            yield from waiting
            waiting = []
            yield packet
        elif packet.is_keyframe:
            waiting = [packet]
        else:
            waiting.append(packet)
    if begin_s <= 0 or not waiting:
        yield from waiting
