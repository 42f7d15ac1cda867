"""What is annotated about whole videos: people's boxes (MOTChallenge), what they do, and what a video as a whole shows.

A folder holds any of ``actions.csv`` (clip, track_id, start_frame, end_frame, label, source_group, split),
``clips.csv`` (clip, label, source_group, split) and ``mot/VIDEO.txt`` (frame from 1, id, left, top, width, height, …).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.class_names import unify
from models.data.clip_file import CLIP_SUFFIXES
from models.data.manifest import Split, split_named
from models.data.spreadsheet import TableRow, named_cell, read_table
from models.errors import DatasetError, EvaluationError
from pipeline.geometry import Boxes, ltwh_to_xyxy

_LOG = logging.getLogger(__name__)
ACTIONS_FILE, CLIPS_FILE, TRACKS_FOLDER = "actions.csv", "clips.csv", "mot"
_ACTION_COLUMNS = ("clip", "track_id", "start_frame", "end_frame", "label", "source_group", "split")
_CLIP_COLUMNS = ("clip", "label", "source_group", "split")
_OTHER_NAMES = {"track": "track_id", "start": "start_frame", "end": "end_frame", "group": "source_group"}


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
    actions, clips = _named(actions, problems), _named(clips, problems)
    homes = _homes([*actions, *clips], problems)
    read: dict[str, list[Segment]] = defaultdict(list)
    for row in actions:
        read[row.cells["clip"].strip()] += _segments(row, problems)
    segments = _one_name_each(read)
    shown = _labels(clips, problems)
    boxes = {name: _boxes(folders, name, problems) for name in homes}
    for name, found in segments.items():
        _check_people(name, found, boxes.get(name, {}), problems)
    if problems:
        raise EvaluationError("; ".join(problems))
    return {
        name: VideoTruth(name, group, split, shown.get(name, ""), boxes[name], tuple(segments.get(name, ())))
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


def _rows(path: Path, columns: Sequence[str], problems: list[str]) -> list[TableRow]:
    try:
        return list(read_table(path, columns, columns, _OTHER_NAMES)) if path.is_file() else []
    except DatasetError as error:
        problems.append(str(error))
        return []


def _named(rows: Iterable[TableRow], problems: list[str]) -> list[TableRow]:
    """Those that say which video they are about."""
    found = []
    for row in rows:
        try:
            named_cell(row, "clip")
            found.append(row)
        except ValueError as error:
            problems.append(f"{row.where}: {error}")
    return found


def _one_name_each(segments: Mapping[str, list[Segment]]) -> dict[str, list[Segment]]:
    """Labels that are one class get one name, and a warning is logged."""
    unified = unify(segment.label for found in segments.values() for segment in found)
    for note in unified.notes:
        _LOG.warning("annotated label: %s", note)
    return {
        video: [replace(segment, label=unified.names.get(segment.label, "")) for segment in found]
        for video, found in segments.items()
    }


def _labels(rows: Iterable[TableRow], problems: list[str]) -> dict[str, str]:
    """Video → what it shows as a whole."""
    labels: dict[str, str] = {}
    for row in rows:
        try:
            labels[row.cells["clip"].strip()] = row.text("label")
        except ValueError as error:
            problems.append(f"{row.where}: {error}")
    return labels


def _homes(rows: Iterable[TableRow], problems: list[str]) -> dict[str, tuple[str, Split]]:
    """Video → its group and split, of which it must have one each."""
    homes: dict[str, tuple[str, Split]] = {}
    for row in rows:
        clip = row.cells["clip"].strip()
        try:
            home = (row.text("source_group"), split_named(row.text("split")))
        except ValueError as error:
            problems.append(f"{row.where}: {error}")
            continue
        if homes.setdefault(clip, home) != home:
            problems.append(f"{row.where}: {clip} is in group and split {homes[clip]} and in {home}")
    return homes


def _segments(row: TableRow, problems: list[str]) -> list[Segment]:
    try:
        track_id, first, last = (row.whole_number(column) for column in ("track_id", "start_frame", "end_frame"))
        segment = Segment(track_id, first, last, row.text("label"))
    except ValueError as error:
        problems.append(f"{row.where}: {error}")
        return []
    if not 1 <= segment.first <= segment.last:
        problems.append(f"{row.where}: expected 1 <= start_frame <= end_frame, got {segment.first}, {segment.last}")
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
