"""What is annotated about whole videos: people's boxes (MOTChallenge), what they do, and what a video as a whole shows.

A folder holds any of ``actions.csv`` (clip, track_id, start_frame, end_frame, label, source_group, split),
``clips.csv`` (clip, label, source_group, split) and ``mot/VIDEO.txt`` (frame from 1, id, left, top, width, height, …).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.clip_file import CLIP_SUFFIXES
from models.data.manifest import Split
from models.errors import EvaluationError
from pipeline.geometry import Boxes, ltwh_to_xyxy

ACTIONS_FILE, CLIPS_FILE, TRACKS_FOLDER = "actions.csv", "clips.csv", "mot"
_ACTION_COLUMNS = ("clip", "track_id", "start_frame", "end_frame", "label", "source_group", "split")
_CLIP_COLUMNS = ("clip", "label", "source_group", "split")


@dataclass(frozen=True, slots=True)
class Segment:
    """Person ``track_id`` does ``label`` in frames ``first`` to ``last``, both inclusive, counted from 1."""

    track_id: int
    first: int
    last: int
    label: str


@dataclass(frozen=True, slots=True)
class VideoTruth:
    """``boxes``: frame number from 1 → the ids int (N,) and corners float32 (N, 4) of all annotated people.

    ``label`` says what the whole video shows; empty where nobody said.
    """

    video: str
    group: str
    split: Split
    label: str
    boxes: Mapping[int, tuple[NDArray[np.int64], Boxes]]
    segments: tuple[Segment, ...]


def read_video_truths(folders: Sequence[Path]) -> dict[str, VideoTruth]:
    """→ everything annotated in these folders, by the video's name without suffix.

    Raises EvaluationError with all that is wrong: no annotation at all, missing columns, bad numbers, a video in two
    groups or splits, people labelled who have no track.
    """
    problems: list[str] = []
    actions = [row for folder in folders for row in _rows(folder / ACTIONS_FILE, _ACTION_COLUMNS, problems)]
    clips = [row for folder in folders for row in _rows(folder / CLIPS_FILE, _CLIP_COLUMNS, problems)]
    if not actions and not clips and not problems:
        problems.append(f"no {ACTIONS_FILE} or {CLIPS_FILE} in {', '.join(map(str, folders)) or 'no folder'}")
    homes = _homes([*actions, *clips], problems)
    segments: dict[str, list[Segment]] = defaultdict(list)
    for row in actions:
        segments[row["clip"]] += _segments(row, problems)
    shown = {row["clip"]: row["label"] for row in clips}
    boxes = {name: _boxes(folders, name, problems) for name in homes}
    for name, found in segments.items():
        _check_people(name, found, boxes.get(name, {}), problems)
    if problems:
        raise EvaluationError("; ".join(problems))
    return {
        name: VideoTruth(name, group, split, shown.get(name, ""), boxes[name], tuple(segments[name]))
        for name, (group, split) in homes.items()
    }


def find_videos(folders: Sequence[Path], names: Iterable[str]) -> dict[str, Path]:
    """Video files in or under ``folders``, by name. Raises EvaluationError for names without or with two files."""
    wanted = set(names)
    found: dict[str, set[Path]] = defaultdict(set)
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix.lower() in CLIP_SUFFIXES and path.stem in wanted:
                found[path.stem].add(path.resolve())
    missing = sorted(wanted - set(found))
    problems = [f"no video file for {', '.join(missing)} in {', '.join(map(str, folders))}"] if missing else []
    problems += [f"several videos are called {name}" for name, paths in sorted(found.items()) if len(paths) > 1]
    if problems:
        raise EvaluationError("; ".join(problems))
    return {name: next(iter(found[name])) for name in sorted(found)}


def _rows(path: Path, columns: Sequence[str], problems: list[str]) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            problems.append(f"{path} lacks the columns {', '.join(missing)}; expected {', '.join(columns)}")
            return []
        return [{name: row[name] or "" for name in columns} | {"where": f"{path}:{reader.line_num}"} for row in reader]


def _homes(rows: Iterable[Mapping[str, str]], problems: list[str]) -> dict[str, tuple[str, Split]]:
    """Video → its group and split, of which it must have one each."""
    homes: dict[str, tuple[str, Split]] = {}
    for row in rows:
        try:
            home = (row["source_group"], Split(row["split"]))
        except ValueError as error:
            problems.append(f"{row['where']}: {error}")
            continue
        if homes.setdefault(row["clip"], home) != home:
            problems.append(f"{row['where']}: {row['clip']} is in group and split {homes[row['clip']]} and in {home}")
    return homes


def _segments(row: Mapping[str, str], problems: list[str]) -> list[Segment]:
    try:
        segment = Segment(int(row["track_id"]), int(row["start_frame"]), int(row["end_frame"]), row["label"])
    except ValueError as error:
        problems.append(f"{row['where']}: {error}")
        return []
    if not 1 <= segment.first <= segment.last:
        problems.append(f"{row['where']}: expected 1 <= start_frame <= end_frame, got {segment.first}, {segment.last}")
        return []
    return [segment]


def _boxes(folders: Sequence[Path], name: str, problems: list[str]) -> dict[int, tuple[NDArray[np.int64], Boxes]]:
    """The tracks of one video; none where there is no file."""
    paths = [path for folder in folders if (path := folder / TRACKS_FOLDER / f"{name}.txt").is_file()]
    if not paths or paths[0].stat().st_size == 0:
        return {}
    try:
        rows = np.loadtxt(paths[0], delimiter=",", ndmin=2, usecols=range(6))
    except ValueError as error:
        problems.append(f"{paths[0]}: {error}")
        return {}
    frames = rows[:, 0].astype(int)
    corners = ltwh_to_xyxy(rows[:, 2:6].astype(np.float32))
    return {
        int(frame): (rows[frames == frame, 1].astype(np.int64), corners[frames == frame]) for frame in np.unique(frames)
    }


def _check_people(
    name: str,
    segments: Sequence[Segment],
    boxes: Mapping[int, tuple[NDArray[np.int64], Boxes]],
    problems: list[str],
) -> None:
    people = {int(track_id) for ids, _ in boxes.values() for track_id in ids}
    unknown = sorted({segment.track_id for segment in segments} - people)
    if unknown:
        problems.append(f"{name}: {ACTIONS_FILE} labels people {', '.join(map(str, unknown))}, who have no track")
