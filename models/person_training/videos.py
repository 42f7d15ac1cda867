"""Which videos a person detector may learn from, and single frames of them.

``clips.csv`` (anywhere under the data folder) names videos and their split: clip, label, source_group, split; its
videos lie under its folder, MOTChallenge tracks in ``mot/<clip>.txt`` beside it. Videos that no ``clips.csv`` names
are used only where the caller adds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.data.manifest import Split, split_named
from models.data.spreadsheet import named_cell, read_table
from models.errors import DatasetError
from pipeline.entities import Floats, Image
from pipeline.files import write_atomically
from pipeline.geometry import ltwh_to_xyxy

CLIPS_FILE = "clips.csv"
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm"})
JPEG_QUALITY = 95
_COLUMNS = ("clip", "source_group", "split")


@dataclass(frozen=True, slots=True)
class TrainingVideo:
    """One video: ``group`` is what it shares with near-duplicates, ``tracks`` a MOTChallenge text or None."""

    path: Path
    group: str
    split: Split
    tracks: Path | None = None

    @property
    def name(self) -> str:
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Picture:
    """One stored frame; ``number`` counts from 1 as MOTChallenge does, ``tracked_xyxy`` float32 (N, 4) may be empty."""

    path: Path
    split: Split
    group: str
    number: int
    tracked_xyxy: Floats


def find_videos(data: Path, extra: Sequence[Path] = ()) -> list[TrainingVideo]:
    """Every video that a ``clips.csv`` under ``data`` puts in train or val, and ``extra`` videos for training.

    Raises DatasetError listing all that is missing, repeated, or in two splits.
    """
    tables = sorted(data.rglob(CLIPS_FILE))
    if not tables:
        raise DatasetError(f"no {CLIPS_FILE} under {data}: expected columns {', '.join(_COLUMNS)}")
    problems: list[str] = []
    videos = [video for table in tables for video in _read_table(table, problems)]
    problems += [f"{path} is missing" for path in extra if not path.is_file()]
    videos += [TrainingVideo(path, path.stem, Split.TRAIN) for path in extra]
    problems += _leaks(videos)
    if problems:
        raise DatasetError("the training videos are not in order:\n" + "\n".join(problems))
    return videos


def _read_table(table: Path, problems: list[str]) -> Iterator[TrainingVideo]:
    paths = {path.stem: path for path in sorted(table.parent.rglob("*")) if path.suffix.lower() in VIDEO_SUFFIXES}
    try:
        rows = list(read_table(table, _COLUMNS, _COLUMNS, {"group": "source_group"}))
    except DatasetError as error:
        problems.append(str(error))
        return
    for row in rows:
        try:
            clip, split, group = named_cell(row, "clip"), split_named(row.text("split")), row.text("source_group")
        except ValueError as error:
            problems.append(f"{row.where}: {error}")
            continue
        if split not in (Split.TRAIN, Split.VAL):
            continue
        if clip not in paths:
            problems.append(f"{row.where}: no video {clip} under {table.parent}")
            continue
        tracks = table.parent / "mot" / f"{clip}.txt"
        yield TrainingVideo(paths[clip], f"{table.parent.name}/{group}", split, tracks if tracks.is_file() else None)


def _leaks(videos: Sequence[TrainingVideo]) -> list[str]:
    splits: dict[str, set[str]] = {}
    names: dict[str, int] = {}
    for video in videos:
        splits.setdefault(video.group, set()).add(video.split.value)
        names[video.name] = names.get(video.name, 0) + 1
    leaking = [f"group {group} is in {' and '.join(sorted(of))}" for group, of in splits.items() if len(of) > 1]
    return leaking + [f"{count} videos are called {name}" for name, count in names.items() if count > 1]


def store_frames(
    video: TrainingVideo, folder: Path, seconds_between: float, limit: int, done: Callable[[Path], None] | None = None
) -> list[Picture]:
    """Write evenly spaced frames of a video as ``folder/<video>-<number>.jpg`` → the pictures; those there are kept.

    One frame for every ``seconds_between``, at least two, at most ``limit``. Raises DatasetError for an unreadable one.
    """
    capture = cv2.VideoCapture(str(video.path))
    rate, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if not capture.isOpened() or count < 1 or not rate > 0:
        raise DatasetError(f"{video.path} is no readable video")
    wanted = max(2, min(limit, round(count / rate / seconds_between)))
    numbers = sorted({int(number) for number in np.linspace(1, count, wanted + 2)[1:-1]})
    tracked = _tracked(video.tracks)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, image in _frames(capture, numbers):
        path = folder / f"{video.name}-{number:06d}.jpg"
        if not path.is_file():
            _write(path, image)
        boxes = ltwh_to_xyxy(tracked[tracked[:, 0] == number, 2:6]).astype(np.float32)
        pictures.append(Picture(path, video.split, video.group, number, boxes))
        if done is not None:
            done(path)
    return pictures


def _frames(capture: cv2.VideoCapture, numbers: Sequence[int]) -> Iterator[tuple[int, Image]]:
    """BGR frames; decoding goes on from the start, since seeking is not exact in every container."""
    try:
        for number in range(1, numbers[-1] + 1):
            if not capture.grab():
                return  # a container may announce more frames than it holds
            if number in numbers:
                decoded, bgr = capture.retrieve()
                if decoded:
                    yield number, np.asarray(bgr, np.uint8)
    finally:
        capture.release()


def _write(path: Path, bgr: Image) -> None:
    """Whole or not at all."""
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    try:
        write_atomically(path, encoded.tobytes())
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error}") from error


def _tracked(tracks: Path | None) -> Floats:
    """(N, 10) MOTChallenge rows; an empty file says that nobody was tracked."""
    if tracks is None or not tracks.read_text().strip():
        return np.empty((0, 10), np.float32)
    return np.loadtxt(tracks, delimiter=",", ndmin=2, dtype=np.float32)
