"""Kinetics (Kay et al. 2017, https://arxiv.org/abs/1705.06950): CSV files, and clips by the usual download scripts.

The CSV has the columns ``label, youtube_id, time_start, time_end, split`` (more do no harm); files are named
``<id>_<start, 6 digits>_<end, 6 digits>.mp4``, in class folders or flat. The YouTube video is the group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.data.class_names import same_class
from models.data.manifest import Split, split_named
from models.data.source_video import (
    Layout,
    LeftOut,
    SourceVideo,
    class_names,
    no_videos,
    uniquely_named,
    videos_below,
)
from models.data.spreadsheet import TableRow, read_table
from models.errors import DatasetError

_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


@dataclass(frozen=True, slots=True)
class _Row:
    where: str  # file:line
    label: str
    youtube_id: str
    stem: str
    split: Split


def read_kinetics(root: Path, csv_files: Sequence[Path]) -> Layout:
    """The clips of ``csv_files`` that lie under ``root``. Those missing, and rows without label, are left out and told.

    Raises DatasetError: an unreadable CSV, all bad rows of all files at once, one clip with two labels or splits, no
    clip at all.
    """
    rows, left_out = _read_rows(csv_files)
    files = _index(root, left_out)
    videos: list[SourceVideo] = []
    for row in rows:
        path = _pick(files.get(row.stem, ()), row.label)
        if path is None:
            left_out.append(LeftOut(f"{row.stem}.mp4 ({row.label})", "it is not there"))
        else:
            videos.append(SourceVideo(path, row.label, row.youtube_id, row.stem, row.split))
    if not videos:
        raise no_videos(root, "clips named <id>_<start>_<end>.mp4 as in the CSV", left_out)
    labels = tuple(sorted({row.label for row in rows}))
    edition = ", ".join(path.name for path in csv_files)
    return Layout(root, labels, uniquely_named(videos), tuple(left_out), edition)


def _read_rows(csv_files: Iterable[Path]) -> tuple[list[_Row], list[LeftOut]]:
    """→ one row a clip, and what is unusable. Raises DatasetError with everything that is wrong."""
    rows: dict[str, _Row] = {}
    left_out: list[LeftOut] = []
    problems: list[str] = []
    for cells in (row for path in csv_files for row in read_table(path, _COLUMNS, _COLUMNS[1:4])):
        where = Path(cells.where).name
        try:
            row = _row(where, cells)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        if not row.label:
            left_out.append(LeftOut(f"{row.stem}.mp4", f"{where} has no label"))
            continue
        before = rows.setdefault(row.stem, row)
        if (same_class(before.label), before.split) != (same_class(row.label), row.split):
            problems.append(f"{where}: {row.stem} is {_shown(row)}, but {_shown(before)} in {before.where}")
    if problems:
        raise DatasetError("; ".join(problems))
    names = class_names(row.label for row in rows.values())  # all: ``text`` gives nothing that nobody sees
    return [replace(row, label=names[row.label]) for row in rows.values()], left_out


def _shown(row: _Row) -> str:
    return f"{row.label!r} in {row.split.value or 'no split'}"


def _row(where: str, row: TableRow) -> _Row:
    """Raises ValueError that says what is wrong with the row."""
    text = {name: row.text(name) for name in _COLUMNS}
    start, end = int(row.number("time_start")), int(row.number("time_end"))
    if not text["youtube_id"]:
        raise ValueError("youtube_id is empty")
    stem = f"{text['youtube_id']}_{start:06d}_{end:06d}"
    return _Row(where, text["label"], text["youtube_id"], stem, split_named(text["split"]))


def _index(root: Path, left_out: list[LeftOut]) -> dict[str, list[Path]]:
    """→ the files by name without suffix."""
    files: dict[str, list[Path]] = {}
    for path in videos_below(root, left_out):
        files.setdefault(path.stem, []).append(path)
    return files


def _pick(paths: Sequence[Path], label: str) -> Path | None:
    """The file in the folder of its class (scripts write blanks as ``_`` or not), else the first."""
    wanted = _plain(label)
    return next((path for path in paths if _plain(path.parent.name) == wanted), paths[0] if paths else None)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
