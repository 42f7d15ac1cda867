"""Contact sheets with the scene around: what a person does is often said by who is near and by what stays still.

At each moment the scene is above and the person's crop below it. The scene is one square of the source video for all
moments of a sheet, wide enough for every place that the person takes, so that what moves in it moves in the world.
The working folder holds crops only, so the source video is read again, once for all people in it.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from models.data.tracks.contact_sheet import contact_sheet, evenly, sheet_path, sheet_title, write_png
from models.data.tracks.labels_csv import LabelRow, rows_by_clip
from models.data.tracks.scene_examples import people_by_frame, source_frames
from models.data.tracks.track_folders import MANIFEST_FILE, VideoTracks
from models.errors import DatasetError
from pipeline.crops import crop_person
from pipeline.entities import Floats, Frame, Image
from pipeline.files import write_atomically

CONTEXT_FOLDER = "context"
_WIDE = 3.0  # the scene's side, in the person's: the reach of somebody near
_SHARE = 0.5  # of the picture's height that is shown at least, so that people far away have a scene, too
_COLUMNS, _PAUSE_S, _MOST = 8, 0.08, 64  # moments in a row; time between two of an animation, and how many it has
_BOX = (255, 40, 40)


@dataclass(frozen=True)
class ContextConfig:
    """``pictures``: moments on a sheet. ``animated``: a GIF beside it. ``tile``: side of a picture in pixels."""

    pictures: int = 8
    animated: bool = False
    tile: int = 200

    def __post_init__(self) -> None:
        if self.pictures < 1 or self.tile < 32:
            raise DatasetError(f"expected 1 moment or more of 32 pixels or more, got {self.pictures} of {self.tile}")


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame of a person: uint8 (S, S, 3) RGB of the scene, with a box around the person, and of the crop."""

    frame: int  # from 1
    time_s: float
    scene: Image
    crop: Image


@dataclass(frozen=True, slots=True)
class _Shot:
    """What is to be cut for one row: the person's boxes in the frames that are shown, and the part of the scene."""

    row: LabelRow
    boxes: Mapping[int, Floats]  # by frame, from 1; float32 (4,) pixels
    on_sheet: frozenset[int]  # the others are for the animation only


def write_context_sheets(
    videos: Sequence[VideoTracks],
    rows: Sequence[LabelRow],
    folder: Path,
    config: ContextConfig,
    report: Callable[[str, int, int | None], None],
    failed: list[str],
) -> tuple[Path, ...]:
    """A sheet for each row's range of its track, ``<video>/<id>_<start>-<end>.png`` (and ``.gif``) → the sheets.

    Those that are there and newer than the video's crops are kept. Videos whose source is gone or cannot be read are
    added to ``failed``.
    """
    wanted = rows_by_clip(rows)
    sheets: list[Path] = []
    for number, video in enumerate(videos, 1):
        here = [row for row in wanted.get(video.name, ()) if video.track(row.track) is not None]
        try:
            _write_missing(video, here, folder, config)
            sheets += [sheet_path(folder, row) for row in here]
        except DatasetError as error:
            failed.append(str(error))
        report("contact sheets with the scene", number, len(videos))
    return tuple(sheets)


def _write_missing(video: VideoTracks, rows: Sequence[LabelRow], folder: Path, config: ContextConfig) -> None:
    missing = [row for row in rows if not _is_fresh(sheet_path(folder, row), video, config.animated)]
    for row, moments, shown in read_moments(video, missing, config):
        path = sheet_path(folder, row)
        write_png(path, context_sheet(shown, sheet_title(video, row)))
        if config.animated:
            write_atomically(path.with_suffix(".gif"), animation(moments))


def _is_fresh(path: Path, video: VideoTracks, animated: bool) -> bool:
    made_s = (video.folder / MANIFEST_FILE).stat().st_mtime
    files = (path, path.with_suffix(".gif")) if animated else (path,)
    return all(file.is_file() and file.stat().st_mtime >= made_s for file in files)


def read_moments(
    video: VideoTracks, rows: Sequence[LabelRow], config: ContextConfig
) -> Iterator[tuple[LabelRow, list[Moment], list[Moment]]]:
    """Each row with all its moments, and those for a sheet; as soon as the video was read to the row's end.

    Rows without a frame of their track are left out. Raises DatasetError when the source video is gone, cannot be read
    or ends before the tracks do.
    """
    shots = _shots(video, rows, config)
    due = defaultdict[int, list[_Shot]](list)
    for shot in shots:
        for number in shot.boxes:
            due[number].append(shot)
    kept: dict[LabelRow, list[Moment]] = {shot.row: [] for shot in shots}
    for frame in source_frames(video.folder) if due else ():
        for shot in due.pop(frame.index + 1, ()):
            moments = kept[shot.row]
            moments.append(_moment(frame, shot, config.tile, video.facts.margin))
            if len(moments) == len(shot.boxes):
                yield shot.row, moments, [item for item in moments if item.frame in shot.on_sheet]
                del kept[shot.row]
        if not due:
            return
    if due:
        raise DatasetError(f"{video.facts.source} ends before frame {max(due)}, in which {video.folder} has people")


def _shots(video: VideoTracks, rows: Sequence[LabelRow], config: ContextConfig) -> list[_Shot]:
    people = people_by_frame(video.folder) if rows else {}
    boxes = {(item.track_id, number): item.box_xyxy for number, items in people.items() for item in items}
    shots = []
    for row in rows:
        track = video.track(row.track)
        inside = np.flatnonzero([row.covers(int(number)) for number in track.frames]) if track else np.empty(0, int)
        if track is None or not len(inside):
            continue
        numbers, times_s = track.frames[inside], track.times_s[inside]
        on_sheet = {int(numbers[index]) for index in evenly(len(inside), config.pictures)}
        most = min(_MOST, int((times_s[-1] - times_s[0]) / _PAUSE_S) + 1) if config.animated else 0
        moving = {int(numbers[index]) for index in evenly(len(inside), most)}
        chosen = {number: boxes[row.track, number] for number in sorted(on_sheet | moving)}
        shots.append(_Shot(row, chosen, frozenset(on_sheet)))
    return shots


def _moment(frame: Frame, shot: _Shot, tile: int, margin: float) -> Moment:
    box = shot.boxes[frame.index + 1]
    left, top, side = scene_square(list(shot.boxes.values()), frame.size_hw)
    square = np.array([left, top, left + side, top + side], np.float32)
    scene = crop_person(frame.image, square, tile, 0.0)
    corners = np.rint((box - np.array([left, top, left, top])) * tile / side).astype(int)
    cv2.rectangle(scene, tuple(corners[:2].tolist()), tuple(corners[2:].tolist()), _BOX, 1, cv2.LINE_AA)
    return Moment(frame.index + 1, frame.time_s, scene, crop_person(frame.image, box, tile, margin))


def scene_square(boxes: Sequence[Floats], size_hw: tuple[int, int]) -> tuple[float, float, float]:
    """Boxes (4,) of one person in pixels → left, top and side of the square of the picture that shows them and around.

    It is moved to lie inside the picture as far as it can; what is wider than the picture is high stands over.
    """
    every = np.stack(boxes)
    low, high = every[:, :2].min(axis=0), every[:, 2:].max(axis=0)
    longer = float(np.median((every[:, 2:] - every[:, :2]).max(axis=1)))
    around = max(_WIDE * longer, float((high - low).max()) + longer, _SHARE * min(size_hw))
    side = min(around, float(max(size_hw)))
    corner = (low + high - side) / 2
    room = np.array([size_hw[1] - side, size_hw[0] - side])
    left, top = np.where(room >= 0, np.clip(corner, 0, np.maximum(room, 0)), room / 2)
    return float(left), float(top), side


def context_sheet(moments: Sequence[Moment], title: str) -> Image:
    """→ uint8 (H, W, 3) RGB: the scene at each moment, with the frame's number, and the crop below it."""
    columns = min(_COLUMNS, len(moments))
    tiles: list[Image] = []
    captions: list[str] = []
    for first in range(0, len(moments), columns):
        row = moments[first : first + columns]
        empty = [np.full_like(row[0].crop, 255)] * (columns - len(row))
        tiles += [*(item.scene for item in row), *empty, *(item.crop for item in row), *empty]
        captions += [*(str(item.frame) for item in row), *[""] * (2 * columns - len(row))]
    return contact_sheet(np.stack(tiles), captions, title, columns, tile_size=len(tiles[0]))


def animation(moments: Sequence[Moment]) -> bytes:
    """→ an endless GIF of scene and crop, side by side. At true speed, or faster where the range is long."""
    pictures = [PIL.Image.fromarray(np.hstack([item.scene, item.crop])).quantize(128) for item in moments]
    span_s = min(moments[-1].time_s - moments[0].time_s, _PAUSE_S * 1.25 * len(moments))
    pause_ms = max(20, round(1000 * span_s / max(1, len(moments) - 1)))
    data = io.BytesIO()
    pictures[0].save(data, "GIF", save_all=True, append_images=pictures[1:], duration=pause_ms, loop=0)
    return data.getvalue()
