"""The ways of labelled people: where each was at every sample of a clip, and who was around, from a working folder."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.manifest import ClipRecord
from models.data.tracks.track_folders import MANIFEST_FILE, TRACKS_FOLDER, read_facts
from models.errors import DatasetError
from pipeline.clips import sample_grid
from pipeline.motion import RATE_HZ, Doubles, Way, without_doubles

_SLACK_S = 1e-3


@dataclass(frozen=True, slots=True)
class LabelledWay:
    """One labelled clip. ``frames`` (T,): the picture that each sample shows, from 1. ``source``: the video."""

    record: ClipRecord
    source: Path
    frames: NDArray[np.int64]
    way: Way

    @property
    def name(self) -> str:
        return self.record.path.stem

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, slots=True)
class _Rows:
    """One track of a manifest: frames (N,), times_s (N,) and boxes (N, 4)."""

    frames: NDArray[np.int64]
    times_s: Doubles
    boxes: Doubles


def labelled_ways(work: Path, records: Iterable[ClipRecord]) -> dict[str, list[LabelledWay]]:
    """→ by video, the ways of its ``records``, in their order. ``work``: the folder of `actoscope dataset extract`.

    Raises DatasetError for a manifest that cannot be read, or that lacks a record's track.
    """
    by_video: dict[str, list[ClipRecord]] = defaultdict(list)
    for record in records:
        by_video[record.video].append(record)
    return {video: _ways(work / TRACKS_FOLDER / video, found) for video, found in by_video.items()}


def _ways(folder: Path, records: Sequence[ClipRecord]) -> list[LabelledWay]:
    tracks, source = _tracks(folder / MANIFEST_FILE), Path(read_facts(folder).source)
    return [_way(record, tracks, source) for record in records]


def _tracks(manifest: Path) -> dict[int, _Rows]:
    rows: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    try:
        with manifest.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                box = (float(row[side]) for side in ("x1", "y1", "x2", "y2"))
                rows[int(row["track_id"])].append((float(row["frame"]), float(row["time_s"]), *box))
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{manifest} cannot be read: {error!r}") from error
    arrays = {track: np.asarray(found) for track, found in rows.items()}
    return {track: _Rows(found[:, 0].astype(np.int64), found[:, 1], found[:, 2:]) for track, found in arrays.items()}


def _way(record: ClipRecord, tracks: Mapping[int, _Rows], source: Path) -> LabelledWay:
    rows = tracks.get(record.track_id)
    inside = np.flatnonzero(_within(rows, record)) if rows is not None else np.empty(0, np.int64)
    if rows is None or not len(inside):
        raise DatasetError(f"{record.path.name}: {record.video} has no track {record.track_id} at that time")
    shown = inside[sample_grid(rows.times_s[inside].tolist(), RATE_HZ)]
    frames, boxes = rows.frames[shown], rows.boxes[shown]
    others = [_at(frames, other) for track, other in tracks.items() if track != record.track_id]
    way = Way(boxes, np.reshape(np.asarray(others, np.float64), (-1, len(frames), 4)))
    return LabelledWay(record, source, frames, without_doubles(way))


def _within(rows: _Rows, record: ClipRecord) -> NDArray[np.bool_]:
    return np.asarray((rows.times_s >= record.start_s - _SLACK_S) & (rows.times_s <= record.end_s + _SLACK_S))


def _at(frames: NDArray[np.int64], rows: _Rows) -> Doubles:
    """→ (T, 4): where the track was in these pictures, NaN where it was not."""
    place = np.minimum(np.searchsorted(rows.frames, frames), len(rows.frames) - 1)
    return np.where((rows.frames[place] == frames)[:, None], rows.boxes[place], np.nan)
