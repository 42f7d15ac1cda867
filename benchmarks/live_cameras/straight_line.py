"""What ``annotate`` finds in a camera's video at full pace: the measure for a live run's boxes and IDs.

Detector, appearance and tracker of the straight line on every frame, without a classifier. One pass over the video says
who is where; several passes in a row, as the camera loops, say how many IDs are given in any stretch of time. Kept on
disk, by the video and by the code and weights that it comes from.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.appearance import AppearanceEncoder, needs_appearance
from pipeline.entities import Detections, Floats, Frame, Track, TrackState
from pipeline.files import file_sha256, write_atomically
from pipeline.geometry import normalise
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from service.configuration import EngineConfig, StagesConfig
from service.engine import load_detector, load_encoder
from service.stages import build_stages
from tests.support.places import REPOSITORY

TOLD_S = 0.1  # a live stream tells of its people so often, so only frames this far apart count


@dataclass(frozen=True, slots=True)
class Person:
    """One confirmed person in one frame, seen there. ``box``: corners in 0..1; ``in_view_s``: since the ID began."""

    track_id: int
    box: tuple[float, float, float, float]
    in_view_s: float


@dataclass(frozen=True, slots=True)
class Span:
    """The first and the last moment that an ID was told of, in media seconds from the first pass on."""

    first_s: float
    last_s: float


@dataclass(frozen=True)
class StraightLine:
    """``frames``: everybody in each frame of the first pass, ``rate`` of them a second. ``spans``: one for each ID."""

    rate: float
    frames: tuple[tuple[Person, ...], ...]
    spans: tuple[Span, ...]
    passes: int

    @property
    def period_s(self) -> float:
        return len(self.frames) / self.rate

    @property
    def people(self) -> float:
        """Confirmed people in a frame, on average."""
        return sum(map(len, self.frames)) / max(1, len(self.frames))

    def ids(self, seconds: float) -> int:
        """→ IDs told of in so many seconds that begin with the second pass."""
        begin_s = self.period_s
        return sum(span.first_s < begin_s + seconds and span.last_s >= begin_s for span in self.spans)


class _Finder:
    """Detects each frame of the video once, and describes each person in it once, over all passes."""

    def __init__(self, config: EngineConfig) -> None:
        self._detector = load_detector(config)
        self._encoder: AppearanceEncoder = load_encoder(config)
        self._found: dict[int, tuple[Detections, Floats]] = {}  # with the features known so far, NaN elsewhere

    def __call__(self, index: int, frame: Frame, expected_xyxy: Floats) -> Detections:
        """``index``: the frame's place in the video. → as the engine's ``detect`` for one frame."""
        if index not in self._found:
            found = self._detector.detect([frame.image])[0]
            self._found[index] = found, np.full((len(found), self._encoder.dimension), np.nan, np.float32)
        bare, known = self._found[index]
        wanted = needs_appearance(bare.boxes_xyxy, expected_xyxy)
        new = wanted & np.isnan(known[:, 0])
        if new.any():
            known[new] = self._encoder.encode(frame.image, bare.boxes_xyxy[new])
        features = np.where(wanted[:, None], known, np.float32(np.nan))
        return Detections(bare.boxes_xyxy, bare.confidences, features)


def run(video: Path, seconds: float, config: EngineConfig, loop_breaks: bool) -> StraightLine:
    """Long enough for ``ids(seconds)``. ``loop_breaks``: each pass is an epoch of its own, as in a file that loops."""
    find, tracker = _Finder(config), build_stages(StagesConfig()).tracker
    frames: list[tuple[Person, ...]] = []
    spans: dict[int, Span] = {}
    rate, passes, number, told_s = 0.0, 2, 0, -1.0
    while number < passes:
        start_s = number * len(frames) / rate if rate else 0.0
        for index, frame in enumerate(_frames(video)):
            now = Frame(frame.image, index, start_s + frame.time_s, 0.0, 0.0, number if loop_breaks else 0)
            tracks = tracker.update(now, find(index, now, tracker.expected(now.time_s)))
            told_s = _tell(spans, tracks, now.time_s, told_s)
            if number == 0:
                frames.append(_people(tracks, now, spans))
                rate = index / frame.time_s if index else rate
        number += 1
        passes = 1 + math.ceil(seconds * rate / max(1, len(frames)))
    return StraightLine(round(rate, 3), tuple(frames), tuple(spans.values()), passes)


def _frames(video: Path) -> VideoSource:
    return VideoSource(SourceUrl.from_path(video), SourceOptions(), lambda *_: None)


def _tell(spans: dict[int, Span], tracks: Sequence[Track], now_s: float, told_s: float) -> float:
    """Notes who is there where it is time to tell. → when it was told of last."""
    if now_s - told_s < TOLD_S - 1e-6:
        return told_s
    for track in tracks:
        if track.state is not TrackState.DELETED:
            first = spans[track.track_id].first_s if track.track_id in spans else now_s
            spans[track.track_id] = Span(first, now_s)
    return now_s


def _people(tracks: Sequence[Track], frame: Frame, spans: dict[int, Span]) -> tuple[Person, ...]:
    """People that are guessed behind something, or perhaps none, are nobody's duty."""
    found = []
    for track in tracks:
        if track.state is TrackState.CONFIRMED and track.coasting_s == 0:
            left, top, right, bottom = map(float, normalise(track.box_xyxy, frame.size_hw))
            since_s = frame.time_s - spans[track.track_id].first_s if track.track_id in spans else 0.0
            found.append(Person(track.track_id, (left, top, right, bottom), since_s))
    return tuple(found)


def kept(video: Path, seconds: float, folder: Path, cache: Path, loop_breaks: bool) -> StraightLine:
    """→ the straight line of a video from ``folder``, or measured now and put there."""
    path = folder / f"{video.stem}-{_origin(video)}.json"
    if path.is_file():
        line = read(path)
        if (line.passes - 1) * line.period_s >= seconds:
            return line
    line = run(video, seconds, EngineConfig(REPOSITORY / "weights", cache, threads=1), loop_breaks)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(asdict(line)) + "\n")
    return line


def read(path: Path) -> StraightLine:
    data = json.loads(path.read_text("utf-8"))
    frames = tuple(
        tuple(Person(each["track_id"], tuple(each["box"]), each["in_view_s"]) for each in people)
        for people in data["frames"]
    )
    return StraightLine(data["rate"], frames, tuple(Span(**span) for span in data["spans"]), data["passes"])


def _origin(video: Path) -> str:
    """→ 16 hex digits of everything that the straight line comes from."""
    code = [path for name in ("detector", "appearance", "tracker") for path in _sources(name)]
    folders = [REPOSITORY / "weights" / name for name in ("person", "appearance")]
    weights = sorted(path for folder in folders for path in folder.iterdir() if path.is_file())
    digest = hashlib.sha256()
    for path in (video, *code, *weights):
        digest.update(file_sha256(path).encode())
    return digest.hexdigest()[:16]


def _sources(name: str) -> list[Path]:
    return sorted((REPOSITORY / "pipeline").glob(f"{name}*.py"))
