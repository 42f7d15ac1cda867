"""Extracted, labelled tracks → whole scenes with a box and a label: what the Video Action Transformer learns from.

`actoscope dataset extract` keeps crops of people, and where each was cut. Here the source video is read again and its
frames, with the tracks of ``manifest.csv``, go through the service's own buffer (``pipeline.scene_clips``): a network
learns from the very clips that it will be asked about. ``scene_store`` keeps them for a training.
"""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.manifest import Split
from models.data.tracks.labels_csv import LabelRow, rows_by_clip
from models.data.tracks.track_folders import MANIFEST_FILE, list_videos, read_facts
from models.errors import DatasetError
from models.weights.cards import ModelInput
from pipeline.entities import Clip, Floats, Frame, Image, Track, TrackState
from pipeline.errors import SourceError, SourceUrlError
from pipeline.scene_clips import SceneClipBuffer
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource

MIN_COVER = 0.5  # of a clip's frames must lie in one labelled range


@dataclass(frozen=True, slots=True)
class SceneExample:
    """One person in one clip that ends with ``frame``, from 1. ``row``: the labelled range that it lies in.

    ``pictures`` are shared by reference with other examples of the same video.
    """

    row: LabelRow
    frame: int
    pictures: tuple[Image, ...]  # T × uint8 (H, W, 3) RGB: the whole scene
    box: Floats  # float32 (4,): x1 y1 x2 y2 in 0..1 of picture T // 2

    @property
    def video(self) -> str:
        return self.row.clip

    @property
    def track_id(self) -> int:
        return self.row.track

    @property
    def label(self) -> str:
        return self.row.label

    @property
    def group(self) -> str:
        return self.row.group

    @property
    def split(self) -> Split:
        return self.row.split

    def stack(self) -> NDArray[np.uint8]:
        """→ uint8 (T, H, W, 3) RGB."""
        return np.stack(self.pictures)


def scene_examples(
    work: Path, rows: Sequence[LabelRow], shape: ModelInput, hop: int = 16, shortest: int = 0
) -> Iterator[SceneExample]:
    """Every clip of every labelled track of the working folder, video by video, as the service would cut them.

    A clip has the label of the range that most of its own frames lie in, at least half; others are left out, and so are
    provisional clips (which play back and forth), but for those of ``shortest`` pictures or more where that is not 0.
    In memory is one clip of pictures, and what the caller keeps. Raises DatasetError when a source video or a manifest
    cannot be read.
    """
    labelled = rows_by_clip(row for row in rows if row.label)
    for folder in list_videos(work):
        if folder.name in labelled:
            yield from examples_of(folder, labelled[folder.name], shape, hop, shortest)


def examples_of(
    folder: Path, rows: Sequence[LabelRow], shape: ModelInput, hop: int, shortest: int = 0
) -> Iterator[SceneExample]:
    """The same of one video: ``folder`` with its tracks, and ``rows`` of these, all with a label."""
    tracks = people_by_frame(folder)
    config = shape.clip_config(hop, shortest) if shortest else shape.clip_config(hop)
    buffer, times_s = SceneClipBuffer(config), list[float]()
    for frame in source_frames(folder):
        times_s.append(frame.time_s)
        for clip in buffer.push(frame, tracks.get(frame.index + 1, [])):
            row = _row_of(clip, rows, times_s)
            if row is not None and clip.box is not None and (shortest or not clip.provisional):
                yield SceneExample(row, frame.index + 1, clip.crops, clip.box)


def source_frames(folder: Path) -> Iterator[Frame]:
    """The frames of the video that the crops in ``folder`` were cut from.

    Raises DatasetError naming the video when it is not where the extraction found it, or cannot be read.
    """
    path = Path(read_facts(folder).source)
    try:
        source = VideoSource(SourceUrl.from_path(path), SourceOptions(), lambda *_: None)
    except SourceUrlError as error:
        raise DatasetError(
            f"the source of {folder} cannot be read: {error}; the working folder holds crops only, so put the video "
            f"back, or extract it from where it lies now"
        ) from error
    try:
        yield from source
    except SourceError as error:
        raise DatasetError(f"the source of {folder} cannot be read: {path}: {error}") from error
    finally:
        source.stop()


def _row_of(clip: Clip, rows: Sequence[LabelRow], times_s: Sequence[float]) -> LabelRow | None:
    """The labelled range that holds most of the clip's frames; None where none holds half of them."""
    first, last = bisect_left(times_s, clip.start_s - 1e-6) + 1, len(times_s)  # frames, from 1
    cover = {row: row.covered(first, last) / (last - first + 1) for row in rows if row.track == clip.track_id}
    best = max(cover, key=lambda row: cover[row], default=None)
    return best if best is not None and cover[best] >= MIN_COVER else None


def people_by_frame(folder: Path) -> dict[int, list[Track]]:
    """The people of each frame (from 1), where the extraction saw them. Raises DatasetError naming file and line."""
    path = folder / MANIFEST_FILE
    tracks: dict[int, list[Track]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            for cells in reader:
                try:
                    box = np.array([float(cells[side]) for side in ("x1", "y1", "x2", "y2")], np.float32)
                    coasting_s = float(cells.get("coasting_s") or 0)
                    track = Track(int(cells["track_id"]), box, TrackState.CONFIRMED, 1.0, coasting_s)
                    tracks.setdefault(int(cells["frame"]), []).append(track)
                except (KeyError, TypeError, ValueError) as error:
                    raise DatasetError(f"{path}:{reader.line_num}: {error!r}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    return tracks
