"""Who is where in each frame of a video: the serving pipeline's own detector and tracker, or tracks that were given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.data.imports.cvat import read_cvat
from models.data.imports.motchallenge import BoxTrack, fill_holes, raise_problems, read_mot
from models.errors import DatasetError, UnreadableFileError
from pipeline.appearance import AppearanceEncoder, with_features
from pipeline.clips import ClipConfig
from pipeline.detector import PersonDetector
from pipeline.entities import Floats, Frame, TrackState
from pipeline.files import file_sha256
from pipeline.pace import LATE, Pace
from pipeline.tracker import PersonTracker, TrackerConfig
from pipeline.tracker_clock import MISSED

_LOG = logging.getLogger(__name__)
TRACKING = TrackerConfig()


@dataclass(frozen=True, slots=True)
class Person:
    """One person in one frame. ``coasting_s``: media time since the box was last confirmed."""

    track_id: int
    box_xyxy: Floats  # float32 (4,) pixels
    coasting_s: float


class People(Protocol):
    """The people of one video, asked frame by frame."""

    def at(self, frame: Frame) -> Sequence[Person]: ...

    def is_gone(self, track_id: int, frame: Frame) -> bool:
        """Whether this person cannot come back after ``frame``."""


@dataclass(frozen=True)
class PeopleSource:
    """``open`` makes the ``People`` of a video; ``describe`` says in words where its boxes come from."""

    open: Callable[[Path], People]
    describe: Callable[[Path], str]


class PipelinePeople:
    """What the service would track: confirmed people, over losses of as long as its clip buffers survive."""

    def __init__(self, detector: PersonDetector, encoder: AppearanceEncoder, tracker: TrackerConfig) -> None:
        self._detector = detector
        self._encoder = encoder
        self._tracker = PersonTracker(tracker)
        self._seen_s: dict[int, float] = {}
        self._pace = Pace()

    def at(self, frame: Frame) -> list[Person]:
        self._pace.note(frame.time_s)
        found = self._detector.detect([frame.image])[0]
        expected = self._tracker.expected(frame.time_s)
        tracks = self._tracker.update(frame, with_features(self._encoder, frame.image, found, expected))
        limit_s = self._pace.at_least(ClipConfig.max_gap_s, LATE)
        people = [
            Person(track.track_id, track.box_xyxy, track.coasting_s)
            for track in tracks
            if track.state is TrackState.CONFIRMED and track.coasting_s <= limit_s
        ]
        self._seen_s.update((person.track_id, frame.time_s) for person in people)
        return people

    def is_gone(self, track_id: int, frame: Frame) -> bool:
        return frame.time_s - self._seen_s[track_id] > self._pace.at_least(2 * TrackerConfig.memory_s, 2 * MISSED)


class GivenPeople:
    """Boxes from a file; frames are matched by their number."""

    def __init__(self, tracks: Sequence[BoxTrack]) -> None:
        self._by_frame: dict[int, list[BoxTrack]] = {}
        for track in tracks:
            for frame in track.boxes:
                self._by_frame.setdefault(frame, []).append(track)
        self._last_frame = {track.track_id: track.last_frame for track in tracks}
        self._seen_s: dict[int, float] = {}

    def at(self, frame: Frame) -> list[Person]:
        return [self._person(track, frame) for track in self._by_frame.get(frame.index + 1, ())]

    def _person(self, track: BoxTrack, frame: Frame) -> Person:
        number = frame.index + 1
        if number not in track.filled:
            self._seen_s[track.track_id] = frame.time_s
        coasting_s = frame.time_s - self._seen_s.get(track.track_id, frame.time_s)
        return Person(track.track_id, track.boxes[number], coasting_s)

    def is_gone(self, track_id: int, frame: Frame) -> bool:
        return frame.index + 1 >= self._last_frame[track_id]


def pipeline_people(
    detector: PersonDetector, encoder: AppearanceEncoder, description: str, tracker: TrackerConfig = TRACKING
) -> PeopleSource:
    """Every video with a tracker of its own, all with the same networks."""
    return PeopleSource(lambda _video: PipelinePeople(detector, encoder, tracker), lambda _video: description)


def given_people(tracks: Path, videos: Sequence[Path], fill_frames: int) -> PeopleSource:
    """Tracks from files: ``tracks`` is a MOTChallenge or CVAT file for the one video, or a folder of them.

    In a folder, ``<video>.txt``, ``<video>.xml`` or ``<video>/gt/gt.txt`` belongs to a video. Holes of up to
    ``fill_frames`` frames in MOTChallenge tracks are filled. All files are read at once, before any work: for a video
    without one, or with one that cannot be read, ``describe`` and ``open`` raise UnreadableFileError; the others can be
    used. Raises DatasetError with all of it where none can.
    """
    files = {video: tracks if tracks.is_file() and len(videos) == 1 else _file_for(video, tracks) for video in videos}
    problems = {video: _problem(video, file, tracks, fill_frames) for video, file in files.items()}
    if all(problems.values()):
        raise_problems(problems.values())

    def file_of(video: Path) -> Path:
        file = files[video]
        if file is None or problems[video]:
            raise UnreadableFileError(problems[video])
        return file

    return PeopleSource(
        lambda video: GivenPeople(read_boxes(file_of(video), fill_frames)),
        lambda video: f"{file_of(video).name} sha256:{file_sha256(file_of(video))[:16]}",
    )


def _problem(video: Path, file: Path | None, tracks: Path, fill_frames: int) -> str:
    """Empty where there is none; what a file leaves out is logged."""
    if file is None:
        return f"no tracks for {video}: expected {tracks / video.stem}.txt or .xml"
    try:
        if file.suffix.lower() != ".xml":
            read_boxes(file, fill_frames)
            return ""
        notes = read_cvat(file).notes
    except DatasetError as error:
        return str(error)
    for note in notes:
        _LOG.warning("%s", note)
    return ""


def _file_for(video: Path, folder: Path) -> Path | None:
    names = (f"{video.stem}.txt", f"{video.stem}.xml", f"{video.stem}/gt/gt.txt")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_boxes(file: Path, fill_frames: int) -> tuple[BoxTrack, ...]:
    """A MOTChallenge or CVAT file → its people."""
    if file.suffix.lower() == ".xml":
        return read_cvat(file).tracks
    return tuple(fill_holes(track, fill_frames) for track in read_mot(file))
