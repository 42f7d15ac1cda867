"""The table that says what people do: ``clip, track, start, end, label, group, split``, one row a range of a track.

``clip`` is a video of the working folder, ``start`` and ``end`` are frames from 1, both included; empty ones mean the
track's first and last. A row without a label waits for a person to fill it. Tables with the columns ``track_id``,
``start_frame``, ``end_frame`` and ``source_group`` are read as well, and whatever ``models.data.spreadsheet`` reads.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import pairwise
from pathlib import Path

from models.data.class_names import same_class, unify
from models.data.imports.cvat import ACTION_ATTRIBUTE, read_cvat
from models.data.imports.motchallenge import raise_problems
from models.data.manifest import Split, split_named
from models.data.spreadsheet import TableRow, read_table
from models.data.tracks.track_folders import VideoTracks, safe_name
from models.errors import DatasetError
from pipeline.files import write_atomically

LABELS_FILE = "labels.csv"
_LOG = logging.getLogger(__name__)
COLUMNS = ("clip", "track", "start", "end", "label", "group", "split")
_OTHER_NAMES = {"track_id": "track", "start_frame": "start", "end_frame": "end", "source_group": "group"}
_LAST_FRAME = 2**31


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One row. ``start`` 0 and ``end`` 0 stand for the track's first and last frame."""

    clip: str
    track: int
    start: int = 0
    end: int = 0
    label: str = ""
    group: str = ""
    split: Split = Split.NONE

    def covers(self, frame: int) -> bool:
        return self.start <= frame <= (self.end or _LAST_FRAME)

    def covered(self, start: int, end: int) -> int:
        """How many of the frames ``start`` … ``end`` lie in this row."""
        return max(0, min(end, self.end or _LAST_FRAME) - max(start, self.start) + 1)

    def overlaps(self, other: LabelRow) -> bool:
        mine, theirs = self.end or _LAST_FRAME, other.end or _LAST_FRAME
        same_track = (self.clip, self.track) == (other.clip, other.track)
        return same_track and self.start <= theirs and other.start <= mine


@dataclass(frozen=True, slots=True)
class Merged:
    """A table after an import. ``left_out``: imported rows that fit no track; ``conflicts``: that contradict a row."""

    rows: tuple[LabelRow, ...]
    taken: int
    left_out: tuple[str, ...]
    conflicts: tuple[str, ...]


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """Raises DatasetError listing every line that is wrong, and rows of one track that overlap.

    Labels that are one class (``models.data.class_names``) get one name, and a warning is logged.
    """
    rows: list[LabelRow] = []
    written: list[str] = []
    places: list[str] = []
    problems: list[str] = []
    for row in read_table(path, COLUMNS, ("clip", "track", "label"), _OTHER_NAMES):
        try:
            rows.append(_row(row))
        except ValueError as error:
            problems.append(f"{row.where}, {error}")
        else:
            written.append(row.cells.get("label", ""))
            places.append(row.where)
    raise_problems([*problems, *_overlaps(list(zip(rows, places, strict=True)))])
    unified = unify(written)
    for note in unified.notes:
        _LOG.warning("%s: %s", path, note)
    names = (unified.names.get(text, "") for text in written)
    return tuple(replace(row, label=name) for row, name in zip(rows, names, strict=True))


def _row(cells: TableRow) -> LabelRow:
    clip = cells.text("clip")
    if not clip:
        raise ValueError("column clip: expected the name of a video, got an empty cell")
    track = cells.whole_number("track")
    start, end = (cells.whole_number(name, empty=0) for name in ("start", "end"))
    if 0 < end < start:
        raise ValueError(f"column end: expected a frame from start ({start}) on, got {end}")
    try:
        split = split_named(cells.text("split"))
    except ValueError as error:
        raise ValueError(f"column split: {error}") from None
    return LabelRow(clip, track, start, end, cells.text("label"), cells.text("group"), split)


def _overlaps(rows: Iterable[tuple[LabelRow, str]]) -> list[str]:
    """``rows`` with file and line."""
    ordered = sorted(rows, key=lambda pair: (pair[0].clip, pair[0].track, pair[0].start))
    return [
        f"{where}, columns start and end: rows of {first.clip}, track {first.track} overlap: "
        f"{_shown(first)} and {_shown(second)}"
        for (first, _), (second, where) in pairwise(ordered)
        if first.overlaps(second)
    ]


def _shown(row: LabelRow) -> str:
    return f"{row.start or 'first'}-{row.end or 'last'} {row.label}"


def write_labels(path: Path, rows: Iterable[LabelRow]) -> None:
    """Write the table by clip, track and start, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted(rows, key=lambda row: (row.clip, row.track, row.start)):
        writer.writerow([*astuple(row)[:-1], row.split.value])
    write_atomically(path, text.getvalue())


def read_actions(path: Path) -> tuple[LabelRow, ...]:
    """Rows to import: a table as above, or a CVAT XML, whose video is the one that it names or is named after.

    Raises DatasetError.
    """
    if path.suffix.lower() != ".xml":
        return read_labels(path)
    annotated = read_cvat(path)
    for note in annotated.notes:
        _LOG.warning("%s", note)
    if not annotated.actions:
        raise DatasetError(f"{path} says of nobody what they do: expected an attribute {ACTION_ATTRIBUTE!r}, chosen")
    clip = Path(annotated.source).stem or path.stem
    rows = (LabelRow(clip, item.track_id, item.start, item.end, item.label) for item in annotated.actions)
    return tuple(rows)


def rows_by_clip(rows: Iterable[LabelRow]) -> dict[str, list[LabelRow]]:
    """The rows of each video, so that a large table is not searched for every track."""
    found: dict[str, list[LabelRow]] = defaultdict(list)
    for row in rows:
        found[row.clip].append(row)
    return found


def empty_rows(videos: Iterable[VideoTracks], every_s: float | None = None) -> tuple[LabelRow, ...]:
    """A row without label for each track, or for each piece of at most ``every_s`` seconds of it; group = video.

    Raises DatasetError for a length that is none.
    """
    if every_s is not None and every_s <= 0:
        raise DatasetError(f"expected pieces longer than 0 s, got {every_s}")
    return tuple(
        LabelRow(video.name, track.track_id, start, end, "", video.name)
        for video in videos
        for track in video.tracks
        for start, end in _pieces(track.frames.tolist(), track.times_s.tolist(), every_s)
    )


def _pieces(frames: Sequence[int], times_s: Sequence[float], every_s: float | None) -> list[tuple[int, int]]:
    """First and last frame of pieces that last equally long."""
    span_s = times_s[-1] - times_s[0]
    count = max(1, math.ceil(span_s / every_s - 1e-6)) if every_s else 1
    pieces: dict[int, list[int]] = defaultdict(list)
    for frame, time_s in zip(frames, times_s, strict=True):
        pieces[min(count - 1, int((time_s - times_s[0]) / span_s * count)) if span_s else 0].append(frame)
    return [(piece[0], piece[-1]) for piece in pieces.values()]


def add_missing(rows: Sequence[LabelRow], proposed: Iterable[LabelRow]) -> tuple[LabelRow, ...]:
    """The table with the proposed rows of tracks that it does not mention yet."""
    known = {(row.clip, row.track) for row in rows}
    return (*rows, *(row for row in proposed if (row.clip, row.track) not in known))


def merge_actions(rows: Sequence[LabelRow], imported: Iterable[LabelRow], videos: Iterable[VideoTracks]) -> Merged:
    """Bring imported rows into the table: they replace rows without a label; rows with one stay and win.

    An imported row that equals one that is there is taken as agreed; one that differs is a conflict. Imported labels
    are written as the table writes them; where that changes one, a warning is logged.
    """
    known = {video.name: video for video in videos}
    kept: dict[tuple[str, int], list[LabelRow]] = defaultdict(list)
    for row in rows:
        kept[row.clip, row.track].append(row)
    taken, left_out, conflicts = 0, list[str](), list[str]()
    for row in (_on_video(row, known) for row in _in_words_of(rows, imported)):
        reason = _misfit(row, known)
        if reason:
            left_out.append(f"{row.clip}, track {row.track}, frames {_shown(row)}: {reason}")
            continue
        here = kept[row.clip, row.track]
        rivals = [other for other in here if other.label and other.overlaps(row)]
        if not rivals:
            here[:] = [*(other for other in here if not (other.overlaps(row) and not other.label)), row]
        if all(_agree(row, other) for other in rivals):
            taken += 1
        else:
            conflicts.append(f"{row.clip}, track {row.track}: {_shown(row)}, but {_shown(rivals[0])} stays")
    return Merged(tuple(row for some in kept.values() for row in some), taken, tuple(left_out), tuple(conflicts))


def _in_words_of(rows: Iterable[LabelRow], imported: Iterable[LabelRow]) -> list[LabelRow]:
    found = list(imported)
    unified = unify((row.label for row in found), known=dict.fromkeys(row.label for row in rows if row.label))
    for note in unified.notes:
        _LOG.warning("imported label: %s", note)
    return [replace(row, label=unified.names.get(row.label, "")) for row in found]


def _agree(row: LabelRow, other: LabelRow) -> bool:
    return (row.start, row.end, row.label) == (other.start, other.end, other.label)


def _on_video(row: LabelRow, known: Mapping[str, VideoTracks]) -> LabelRow:
    """The row with the working folder's name of its video, and the video as its group where it has none."""
    name = next(
        (name for name in (row.clip, safe_name(row.clip), safe_name(Path(row.clip).stem)) if name in known),
        None,
    )
    if name is None:  # a system without case, and accents composed in another way
        wanted = {same_class(row.clip), same_class(safe_name(Path(row.clip).stem))}
        alike = [name for name in known if same_class(name) in wanted]
        name = alike[0] if len(alike) == 1 else row.clip
    return replace(row, clip=name, group=row.group or name)


def _misfit(row: LabelRow, known: Mapping[str, VideoTracks]) -> str:
    if row.clip not in known:
        return "this video was not extracted"
    track = known[row.clip].track(row.track)
    if track is None:
        return "the video has no such track"
    if not any(row.covers(frame) for frame in (track.frames[0], track.frames[-1])) and not (
        track.frames[0] <= row.start <= track.frames[-1]
    ):
        return f"the track spans the frames {track.frames[0]}-{track.frames[-1]}"
    return ""
