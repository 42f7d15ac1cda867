"""One camera's MP4 of a span of time: copied as it was recorded where that is possible, else encoded, and then drawn
upon or pixelated as was asked.

Time in the file is the time of day less that of its first picture: a gap in the recording is as long in it as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.entities import Frame, FrameResult, Image, Track, TrackLabel, TrackState
from pipeline.overlay import draw
from service.exports.clock import clock_text
from service.exports.job import CameraJob, Piece, Wish
from service.exports.people import HIDDEN_GAP_S, People, Sight
from service.exports.pictures import Shown, pictures, with_plates
from service.exports.pixelate import pixelate, pixelate_whole
from service.exports.sidecar import Line, read_lines
from service.exports.survey import Gap, Survey, survey
from service.recording.clip_file import Source, cut_clip
from service.recording.segment_writer import SegmentWriter

PRESET, CRF = "veryfast", 20
_SAME_S = 0.001
_EDGE_S = HIDDEN_GAP_S + 1.0  # of the files before and after: who comes back is hidden until then
COPIED = "the camera's pictures as they were recorded, bit by bit"

Tell = Callable[[float], None]  # hears up to which Unix time the camera is done


@dataclass(frozen=True, slots=True)
class Span:
    """Unix times, and the zone in which people are told of them."""

    begin: float
    end: float
    zone: tzinfo


@dataclass(slots=True)
class CameraVideo:
    """What came of it. ``path`` None: nothing was recorded. ``made``: ``copied``, ``encoded`` or ``none``, and ``why``.

    ``moments``: Unix time of each picture in the file. ``hidden``: pictures with pixelated parts; ``hidden_whole``: of
    which nobody knows who was in view.
    """

    path: Path | None
    made: str
    why: str
    moments: list[float] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    drawn_already: bool = False
    hidden: int = 0
    hidden_whole: int = 0
    unreadable: list[str] = field(default_factory=list)

    @property
    def first_at(self) -> float | None:
        return self.moments[0] if self.moments else None


def make_video(camera: CameraJob, span: Span, wish: Wish, path: Path, tell: Tell) -> CameraVideo:
    """Raises OSError where the disk fails, ValueError for pictures that cannot be encoded."""
    found = survey(camera.pieces, span.begin, span.end)
    why = _why_encoded(found, wish)
    video = CameraVideo(path, "encoded" if why else "copied", why or COPIED, gaps=found.gaps)
    video.unreadable, video.drawn_already = found.unreadable, any(piece.drawn for piece in camera.pieces)
    if found.moments and why:
        _encode(camera, span, wish, video, tell)
    elif found.moments:
        _copy(camera, found, span.end, video)
    if not video.moments:
        path.unlink(missing_ok=True)
        video.path, video.made, video.why = None, "none", "nothing was recorded"
    return video


def _why_encoded(found: Survey, wish: Wish) -> str:
    """→ empty where the recorded packets can be copied."""
    reasons = {
        "people are pixelated": wish.pixelate_others,
        "boxes and labels are drawn into it": wish.overlay,
        "its first picture is no keyframe, and nothing from before the span may be in it": not found.begins_whole,
        "it was recorded in more than one coding": len(found.codings) > 1,
        "a gap in the recording is shown as one": any(_is_within(gap, found.moments) for gap in found.gaps),
        "files overlap": not found.in_order,
        "a file cannot be read": bool(found.unreadable),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _is_within(gap: Gap, moments: Sequence[float]) -> bool:
    """Not before the first picture or behind the last."""
    return bool(moments) and moments[0] <= gap.since < moments[-1]


def _copy(camera: CameraJob, found: Survey, end: float, video: CameraVideo) -> None:
    sources = [Source(piece.path, piece.started_at) for piece in camera.pieces]
    cut_clip(sources, found.moments[0] + _SAME_S, end, _place_of(video))
    video.moments = found.moments


def _place_of(video: CameraVideo) -> Path:
    if video.path is None:
        raise TypeError("expected a place for the video")
    return video.path


def _encode(camera: CameraJob, span: Span, wish: Wish, video: CameraVideo, tell: Tell) -> None:
    writer = SegmentWriter(
        _place_of(video), largest_hw(camera), PRESET, CRF, overlay=wish.overlay or video.drawn_already
    )
    painter = _Painter(camera, span.zone, wish, video)
    try:
        for shown in with_plates(_in_order(camera, span), _Words(span.zone)):
            writer.write(painter.paint(shown), shown.at)
            video.moments.append(shown.at)
            tell(shown.at)
        if video.moments:
            writer.close()
    finally:
        writer.abandon()  # does nothing to one that is closed


def largest_hw(camera: CameraJob) -> tuple[int, int]:
    """→ the size of a camera's video: that of its largest pictures."""
    return max((piece.size_hw for piece in camera.pieces), key=lambda size: size[0] * size[1])


def _in_order(camera: CameraJob, span: Span) -> Iterator[Shown]:
    """Pictures of all files; of files that overlap those of the first."""
    last = span.begin - 1.0
    for piece in camera.pieces:
        for shown in pictures(piece, span.begin, span.end):
            if shown.at > last:
                yield shown
                last = shown.at


@dataclass(frozen=True, slots=True)
class _Words:
    """What stands on the plate of a gap."""

    zone: tzinfo

    def __call__(self, since: float, until: float) -> list[str]:
        return ["nothing recorded", f"{clock_text(since, self.zone)}  -  {clock_text(until, self.zone)}"]


class _Painter:
    """Hides people, and draws what was known."""

    def __init__(self, camera: CameraJob, zone: tzinfo, wish: Wish, video: CameraVideo) -> None:
        self._zone, self._wish, self._video = zone, wish, video
        self._keep = frozenset(camera.keep)
        self._around = Around(camera.pieces)

    def paint(self, shown: Shown) -> Image:
        """→ uint8 (H, W, 3) RGB."""
        if shown.piece is None or not (self._wish.pixelate_others or self._wish.overlay):
            return shown.image
        people, image = self._around.people(shown.piece), shown.image
        if self._wish.pixelate_others:
            image = self._hide(image, people, shown.at)
        if self._wish.overlay and not shown.piece.drawn:
            image = draw_people(image, people, shown.at, clock_text(shown.at, self._zone))
        return image

    def _hide(self, image: Image, people: People, at: float) -> Image:
        if people.is_blind(at):
            self._video.hidden_whole += 1
            return pixelate_whole(image)
        boxes = people.hidden(at, self._keep)
        self._video.hidden += bool(boxes)
        return pixelate(image, boxes)


class Around:
    """People of each file, with the lines just before and after it; files are asked for one after the other."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._read: dict[int, list[Line]] = {}
        self._of: tuple[Piece, People] | None = None

    def people(self, piece: Piece) -> People:
        if self._of is None or self._of[0] is not piece:
            self._of = piece, People(self._lines(self._pieces.index(piece)))
        return self._of[1]

    def _lines(self, place: int) -> Iterator[Line]:
        near = range(max(0, place - 1), min(len(self._pieces), place + 2))
        self._read = {each: self._read.get(each) or read_lines(self._pieces[each]) for each in near}
        begin, end = self._pieces[place].started_at - _EDGE_S, self._pieces[place].ended_at + _EDGE_S
        return (line for each in near for line in self._read[each] if begin <= line.at <= end)


def draw_people(image: Image, people: People, at: float, clock: str) -> Image:
    """→ new uint8 (H, W, 3) RGB with boxes, ids, labels and the time."""
    sights = people.shown(at)
    told = {track_id: track for track_id, (_, track) in sights.items()}
    frame = Frame(image, 0, at, at, 0.0)
    result = FrameResult(
        frame,
        tuple(_track(track_id, sight, frame.size_hw) for track_id, sight in sights.items()),
        {track_id: _label(track) for track_id, track in told.items() if track.get("action")},
        {track_id: int(track.get("buffer", 0)) for track_id, track in told.items()},
    )
    sizes = [int(track.get("buffer_size", 0)) for track in told.values()]
    return draw(result, max(sizes, default=1), clock)


def _track(track_id: int, sight: Sight, size_hw: tuple[int, int]) -> Track:
    (x1, y1, x2, y2), told = sight
    height, width = size_hw
    box = np.array([x1 * width, y1 * height, x2 * width, y2 * height], np.float32)
    return Track(track_id, box, TrackState(told.get("state", "confirmed")), 1.0)


def _label(track: Mapping[str, Any]) -> TrackLabel:
    confidence = float(track.get("confidence") or 0.0)
    return TrackLabel(str(track["action"]), confidence, {}, 0.0, bool(track.get("provisional", False)))
