"""Contact sheets: one PNG a track, evenly spaced crops with their frame numbers, to say at a glance what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from models.data.clip_file import Clip
from models.data.tracks.labels_csv import LabelRow
from models.data.tracks.track_folders import MANIFEST_FILE, PersonTrack, VideoTracks, read_crops, track_stem
from models.errors import DatasetError
from pipeline.entities import Image
from pipeline.files import write_atomically

SHEETS_FOLDER = "sheets"
_TILE, _COLUMNS, _TITLE_HEIGHT = 160, 6, 28
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def contact_sheet(
    crops: Clip, captions: Sequence[str], title: str, columns: int = _COLUMNS, tile_size: int = _TILE
) -> Image:
    """uint8 (N, S, S, 3) RGB crops and a caption each → uint8 (H, W, 3) RGB: rows of tiles below a title."""
    columns = min(columns, len(crops))
    rows = -(-len(crops) // columns)
    sheet = np.full((_TITLE_HEIGHT + rows * tile_size, columns * tile_size, 3), 255, np.uint8)
    _write(sheet, title, (6, 19), _BLACK)
    for index, (crop, caption) in enumerate(zip(crops, captions, strict=True)):
        top, left = _TITLE_HEIGHT + index // columns * tile_size, index % columns * tile_size
        tile = np.ascontiguousarray(cv2.resize(crop, (tile_size, tile_size), interpolation=cv2.INTER_AREA))
        _write(tile, caption, (4, tile_size - 6), _WHITE, _BLACK)
        sheet[top : top + tile_size, left : left + tile_size] = tile
    return sheet


def _write(
    image: Image,
    text: str,
    place: tuple[int, int],
    colour: tuple[int, int, int],
    edge: tuple[int, int, int] | None = None,
) -> None:
    """Put ``text`` into the image, in one colour and with an edge of another, so that it is read on any ground."""
    plain = text.encode("ascii", "replace").decode()  # OpenCV's fonts know no other letters
    if edge is not None:
        cv2.putText(image, plain, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, edge, 3, cv2.LINE_AA)
    cv2.putText(image, plain, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)


def write_sheets(
    videos: Iterable[VideoTracks],
    rows: Sequence[LabelRow],
    folder: Path,
    pictures: int,
    report: Callable[[str, int, int | None], None],
    failed: list[str],
) -> tuple[Path, ...]:
    """A sheet for each row's range of its track, ``<video>/<id>_<start>-<end>.png`` → all of them.

    Those that are there and newer than the video's crops are kept. Crops that cannot be read are added to ``failed``.
    """
    by_name = {video.name: video for video in videos}
    sheets: list[Path] = []
    for number, row in enumerate(rows, 1):
        video = by_name[row.clip]
        track = video.track(row.track)
        if track is not None:
            path = sheet_path(folder, row)
            try:
                if not _is_fresh(path, video):
                    _write_sheet(path, video, track, row, pictures)
                sheets.append(path)
            except DatasetError as error:
                failed.append(str(error))
        report("contact sheets", number, len(rows))
    return tuple(sheets)


def _is_fresh(path: Path, video: VideoTracks) -> bool:
    return path.is_file() and path.stat().st_mtime >= (video.folder / MANIFEST_FILE).stat().st_mtime


def _write_sheet(path: Path, video: VideoTracks, track: PersonTrack, row: LabelRow, pictures: int) -> None:
    inside = np.flatnonzero([row.covers(int(frame)) for frame in track.frames])
    chosen = evenly(len(inside), pictures)
    indices = [int(inside[index]) for index in chosen]
    captions = [f"{track.frames[index]}" for index in indices]
    write_png(path, contact_sheet(read_crops(video, track, indices), captions, sheet_title(video, row)))


def sheet_path(folder: Path, row: LabelRow) -> Path:
    return folder / row.clip / f"{track_stem(row.track)}_{row.start:06d}-{row.end:06d}.png"


def sheet_title(video: VideoTracks, row: LabelRow) -> str:
    """Video, track, frames and seconds of a row whose track is there."""
    times_s = [
        time_s
        for track in video.tracks
        if track.track_id == row.track
        for frame, time_s in zip(track.frames.tolist(), track.times_s.tolist(), strict=True)
        if row.covers(frame)
    ]
    span = f"  {times_s[0]:.1f}-{times_s[-1]:.1f} s" if times_s else ""
    return f"{video.name}  track {row.track}  frames {row.start}-{row.end}{span}"


def write_png(path: Path, sheet: Image) -> None:
    """Write uint8 (H, W, 3) RGB, whole or not at all; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    write_atomically(path, encoded.tobytes())


def evenly(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of ``count`` indices, the first and the last among them, evenly spaced."""
    if count <= wanted or wanted < 2:
        return list(range(count))[:wanted] if wanted < 2 else list(range(count))
    return [round(step * (count - 1) / (wanted - 1)) for step in range(wanted)]
