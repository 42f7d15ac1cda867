"""What a camera's recorded files hold of a span of time, found without decoding: pictures, keyframes, codings, gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import av

from service.exports.job import Piece

GAP_S = 2.0  # without a picture for longer: nothing was recorded
AT_ONCE_S = 0.002  # times of day are told in milliseconds


@dataclass(frozen=True, slots=True)
class Gap:
    """Unix times between which there is no picture."""

    since: float
    until: float


@dataclass(slots=True)
class Survey:
    """``moments``: Unix time of each picture within the span.

    ``begins_whole``: the first of them is a keyframe. ``in_order``: no file begins before the last one has ended.
    ``codings``: codec, size and its headers of each file that has pictures in it, all that are different.
    ``unreadable``: names of files that cannot be read.
    """

    moments: list[float] = field(default_factory=list)
    begins_whole: bool = False
    in_order: bool = True
    codings: set[tuple[object, ...]] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    @property
    def first_at(self) -> float | None:
        return self.moments[0] if self.moments else None

    def _take(self, at: float, keyframe: bool, begin: float) -> None:
        if not self.moments:
            self.begins_whole = keyframe
        elif at <= self.moments[-1]:
            self.in_order = False
            return
        self._note_gap(begin, at)
        self.moments.append(at)

    def _note_gap(self, begin: float, at: float) -> None:
        last = self.moments[-1] if self.moments else begin
        if at - last > GAP_S:
            self.gaps.append(Gap(last, at))


def survey(pieces: Sequence[Piece], begin: float, end: float) -> Survey:
    """``pieces`` in the order of time."""
    found = Survey()
    for piece in pieces:
        try:
            for at, keyframe, coding in _pictures(piece):
                if begin - AT_ONCE_S <= at <= end:
                    found._take(at, keyframe, begin)
                    found.codings.add(coding)
        except (av.FFmpegError, IndexError):
            found.unreadable.append(piece.path.name)
    found._note_gap(begin, end)
    return found


def _pictures(piece: Piece) -> Iterator[tuple[float, bool, tuple[object, ...]]]:
    with av.open(str(piece.path), format="mp4") as container:
        video = container.streams.video[0]
        codec = video.codec_context
        coding = (codec.name, video.width, video.height, bytes(codec.extradata or b""))
        for packet in container.demux(video):
            if packet.size and packet.pts is not None:
                at = piece.started_at + float(packet.pts * packet.time_base)
                yield at, packet.is_keyframe, coding
