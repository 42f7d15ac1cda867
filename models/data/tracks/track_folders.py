"""The working folder's ``tracks/``: one folder a video, in it one folder (or clip file) of crops a person.

    WORK/tracks/<video>/<id, 5 digits>/<frame, 6 digits>.jpg    or <id>.mp4, <id>.mkv: the same crops, in order
    WORK/tracks/<video>/manifest.csv    one row a crop
    WORK/tracks/<video>/video.json      where the crops come from and how they were cut

A video's folder is written under another name and renamed when all of it is there, so one that exists is finished.
Frames are numbered from 1, as MOTChallenge does. Every crop of a video has the same size.
"""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.data.clip_file import Clip, ClipFormat, clip_name
from models.errors import DatasetError

TRACKS_FOLDER, MANIFEST_FILE, VIDEO_FILE = "tracks", "manifest.csv", "video.json"
COLUMNS = ("video", "track_id", "frame", "time_s", "x1", "y1", "x2", "y2", "fps", "coasting_s")
CLIP_RATE_HZ = 25  # of clip files here: one picture a crop, whatever the camera's rate
_UNSAFE = re.compile(r"[^\w.\-]+")


class VideoFacts(BaseModel):
    """The content of ``video.json``. ``tracks_from``: ``pipeline``, or the file with the boxes that were given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str  # the video's absolute path
    size_bytes: int
    tracks_from: str
    margin: float
    size: int
    format: ClipFormat
    frames: int = 0  # decoded
    problem: str = ""  # why the video could not be read to its end


@dataclass(frozen=True, slots=True)
class PersonTrack:
    """One person of one video: N crops in the order of their frames."""

    track_id: int
    frames: NDArray[np.int64]  # (N,) rising, from 1
    times_s: NDArray[np.float64]  # (N,) media time
    coasting_s: NDArray[np.float64]  # (N,) since a detection (or a given box) last confirmed the place; 0 = now


@dataclass(frozen=True, slots=True)
class VideoTracks:
    """One finished video of the working folder, without its pixels."""

    folder: Path
    facts: VideoFacts
    fps: float
    tracks: tuple[PersonTrack, ...]

    @property
    def name(self) -> str:
        return self.folder.name

    def track(self, track_id: int) -> PersonTrack | None:
        return next((track for track in self.tracks if track.track_id == track_id), None)


def safe_name(text: str) -> str:
    """``text`` as a name for folders and for lists whose columns are parted by blanks."""
    return _UNSAFE.sub("_", unicodedata.normalize("NFC", text)).strip("._-") or "unnamed"


def track_stem(track_id: int) -> str:
    return f"{track_id:05d}"


def list_videos(work: Path) -> tuple[Path, ...]:
    """The folders of all finished videos, by name. Raises DatasetError when there is none."""
    root = work / TRACKS_FOLDER
    folders = tuple(finished_folders(root))
    if not folders:
        raise DatasetError(f"no extracted video in {root}; `actoscope dataset extract VIDEOS --work {work}` makes them")
    return folders


def finished_folders(root: Path) -> Iterator[Path]:
    """Every finished video's folder, by name, also one that may not be looked into."""
    for folder in sorted(root.glob("[!.]*")):
        try:
            (folder / MANIFEST_FILE).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # whoever reads it is told
            pass
        yield folder


def read_facts(folder: Path) -> VideoFacts:
    """Raises DatasetError naming the file."""
    path = folder / VIDEO_FILE
    try:
        return VideoFacts.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def read_video(folder: Path) -> VideoTracks:
    """Read one video's manifest. Raises DatasetError naming the file and the line."""
    path = folder / MANIFEST_FILE
    numbers: dict[int, list[tuple[float, ...]]] = {}
    fps = 0.0
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            for track_id, rate_hz, row in _rows(stream, path):
                numbers.setdefault(track_id, []).append(row)
                fps = rate_hz
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    tracks = tuple(_track(track_id, np.array(rows), path) for track_id, rows in sorted(numbers.items()))
    return VideoTracks(folder, read_facts(folder), fps, tracks)


def _rows(stream: Iterable[str], path: Path) -> Iterator[tuple[int, float, tuple[float, ...]]]:
    """→ track_id, fps and (frame, time_s, coasting_s) of each row."""
    reader = csv.DictReader(stream)
    missing = sorted({"track_id", "frame", "time_s", "fps"} - set(reader.fieldnames or ()))
    if missing:
        raise DatasetError(f"{path} lacks the columns {', '.join(missing)}; expected {', '.join(COLUMNS)}")
    for row in reader:
        try:
            values = (int(row["frame"]), float(row["time_s"]), float(row.get("coasting_s") or 0))
            yield int(row["track_id"]), float(row["fps"]), values
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{path}:{reader.line_num}: {error}") from error


def _track(track_id: int, rows: NDArray[np.float64], path: Path) -> PersonTrack:
    """rows: (N, 3) of frame, time_s, coasting_s."""
    frames = rows[:, 0].astype(np.int64)
    if not (np.diff(frames) > 0).all() or not (np.diff(rows[:, 1]) > 0).all():
        raise DatasetError(f"{path}: frames and times of track {track_id} do not rise from row to row")
    return PersonTrack(track_id, frames, rows[:, 1], rows[:, 2])


def crops_path(video: VideoTracks, track_id: int) -> Path:
    """The folder or the clip file that holds a person's crops."""
    return video.folder / clip_name(track_stem(track_id), video.facts.format)


def picture_path(video: VideoTracks, track_id: int, frame: int) -> Path:
    """The JPEG of one crop (only where the format is JPEG)."""
    return crops_path(video, track_id) / f"{frame:06d}.jpg"


def read_crops(video: VideoTracks, track: PersonTrack, indices: Sequence[int]) -> Clip:
    """The crops at ``indices`` of a track (rising, repetitions allowed) → uint8 (len(indices), S, S, 3) RGB.

    Decodes a clip file up to the last of them and keeps only those that are wanted. Raises DatasetError naming the
    file when it is missing, damaged or shorter than the manifest.
    """
    wanted = sorted(set(indices))
    if video.facts.format is ClipFormat.JPEG:
        files = (picture_path(video, track.track_id, int(track.frames[index])) for index in wanted)
        found = {index: _read_picture(file) for index, file in zip(wanted, files, strict=True)}
    else:
        found = _read_from_clip(crops_path(video, track.track_id), set(wanted))
    return np.stack([found[index] for index in indices])


def _read_picture(path: Path) -> Clip:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if picture is None:
        raise DatasetError(f"{path} is missing or cannot be decoded")
    return np.asarray(picture, np.uint8)


def _read_from_clip(path: Path, wanted: set[int]) -> dict[int, Clip]:
    found: dict[int, Clip] = {}
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if min(wanted) > 0:  # a long track is not decoded from its beginning for each of its parts
                container.seek(round(min(wanted) / CLIP_RATE_HZ / stream.time_base), stream=stream)
            for picture in container.decode(stream):
                index = round(float(picture.pts * stream.time_base) * CLIP_RATE_HZ)
                if index in wanted:
                    found[index] = picture.to_ndarray(format="rgb24")
                if index >= max(wanted):
                    break
    except (OSError, ValueError, IndexError) as error:  # PyAV's errors inherit these
        raise DatasetError(f"{path} cannot be decoded: {error}") from error
    if len(found) < len(wanted):
        raise DatasetError(f"{path} holds fewer crops than its manifest says")
    return found


def median_fps(videos: Iterable[VideoTracks]) -> float:
    """The middle one of the videos' own rates; 25 where none is known."""
    rates = sorted(video.fps for video in videos if math.isfinite(video.fps) and video.fps > 0)
    return rates[len(rates) // 2] if rates else 25.0
