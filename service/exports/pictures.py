"""A camera's recorded pictures of a span of time, decoded, in order, each with its moment; and where there are none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from pipeline.entities import Image
from pipeline.overlay import write_plate
from pipeline.sources.picture import Picture, to_rgb
from service.exports.job import Piece
from service.exports.survey import AT_ONCE_S, GAP_S
from service.recording.clip_file import within

log = logging.getLogger(__name__)

PLATE_AFTER_S = 1.0  # behind the last picture, which stands so long
Words = Callable[[float, float], Sequence[str]]  # since when and until when there is nothing → what the plate says


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture at Unix time ``at``; ``piece`` None: a plate that stands where nothing was recorded."""

    at: float
    image: Image  # uint8 (H, W, 3) RGB
    piece: Piece | None


def pictures(piece: Piece, begin: float, end: float) -> Iterator[Shown]:
    """Of one file. A file that is damaged ends where it is damaged."""
    try:
        with av.open(str(piece.path), format="mp4") as container:
            video = container.streams.video[0]
            video.thread_type = "NONE"  # the service's streams need the cores
            packets = within(container.demux(video), begin - piece.started_at, end - piece.started_at)
            for frame in _decoded(video, packets):
                at = piece.started_at + float(frame.pts * frame.time_base)
                if begin - AT_ONCE_S <= at <= end:
                    yield Shown(at, to_rgb(Picture(frame, at, (frame.width, frame.height))), piece)
    except (av.FFmpegError, IndexError) as error:
        log.warning("%s is read as far as it goes: %s", piece.path.name, type(error).__name__)


def _decoded(video: Any, packets: Iterator[Any]) -> Iterator[Any]:
    for packet in packets:
        yield from video.codec_context.decode(packet)
    yield from video.codec_context.decode(None)


def with_plates(shown: Iterator[Shown], words: Words) -> Iterator[Shown]:
    """The same, and a plate where nothing was recorded: no gap looks like a picture that stands still."""
    last: Shown | None = None
    for each in shown:
        if last is not None and each.at - last.at > GAP_S:
            yield _plate(last, words(last.at, each.at))
        yield each
        last = each


def _plate(last: Shown, lines: Sequence[str]) -> Shown:
    image = np.zeros_like(last.image)
    write_plate(image, lines)
    return Shown(last.at + PLATE_AFTER_S, image, None)
