"""Plain class folders: ``class/….mp4``, or ``train|val|test/class/….mp4``; deeper folders belong to their class.

Nothing in such a tree says which videos share a source, and each counts as its own group, unless a pattern over the
paths or a CSV says otherwise. Videos of one camera in two splits make results that do not hold: name the groups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.data.imports.motchallenge import raise_problems
from models.data.manifest import Split, split_named
from models.data.source_video import (
    Layout,
    LeftOut,
    SourceVideo,
    class_names,
    is_folder,
    no_videos,
    uniquely_named,
    videos_below,
)
from models.data.spreadsheet import named_cell, read_table
from models.errors import DatasetError

_EXPECTED = "class/….mp4 or train|val|test/class/….mp4"
_OTHER_NAMES = {"source_group": "group"}


@dataclass(frozen=True, slots=True)
class Grouping:
    """Who shares a source. ``pattern``: its first group (or all of it) found in the path below the root, '/' between.

    ``csv_file``: columns clip (file name, or path below the root), group (or source_group) and, if wanted, split.
    """

    pattern: str | None = None
    csv_file: Path | None = None


@dataclass(slots=True)
class _Reading:
    """A tree on its way to a layout."""

    videos: list[SourceVideo] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    ungrouped: list[str] = field(default_factory=list)


def read_folders(root: Path, grouping: Grouping = Grouping()) -> Layout:
    """The tree under ``root``; classes in alphabetical order.

    Raises DatasetError: no such folder, splits beside classes, a bad pattern or CSV, videos without a group by them
    (all are listed), or no usable video.
    """
    named = _pattern(grouping.pattern)
    rows = _read_groups(grouping.csv_file) if grouping.csv_file is not None else None
    has_splits = _has_splits(root)
    reading = _Reading()
    for path in videos_below(root, reading.left_out):
        relative = path.relative_to(root)
        video = _video(path, relative, has_splits)
        if video is None:
            reading.left_out.append(
                LeftOut(relative.as_posix(), f"it does not lie in {_EXPECTED.replace('….mp4', '')}")
            )
        elif (grouped := _grouped(video, relative, named, rows)) is None:
            reading.ungrouped.append(relative.as_posix())
        else:
            reading.videos.append(grouped)
    if reading.ungrouped:
        where = "the pattern" if rows is None else str(grouping.csv_file)
        raise DatasetError(f"{len(reading.ungrouped)} videos get no group by {where}: {', '.join(reading.ungrouped)}")
    names = class_names(video.label for video in reading.videos)
    nameless = "its class folder's name is nothing that the eye sees"
    for video in reading.videos:
        if video.label not in names:
            reading.left_out.append(LeftOut(video.path.relative_to(root).as_posix(), nameless))
    videos = [replace(video, label=names[video.label]) for video in reading.videos if video.label in names]
    if not videos:
        raise no_videos(root, _EXPECTED, reading.left_out)
    labels = tuple(sorted({video.label for video in videos}))
    return Layout(root, labels, uniquely_named(videos), tuple(reading.left_out))


def _has_splits(root: Path) -> bool:
    """Whether the folders under ``root`` are splits. Raises DatasetError where some are and some are not."""
    if not is_folder(root):
        raise DatasetError(f"{root} is no folder; expected {_EXPECTED}")
    try:
        entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{root} cannot be listed: {error.strerror}") from error
    folders = [path.name for path in entries if is_folder(path)]
    splits = [name for name in folders if _split_of(name)]
    others = [name for name in folders if not _split_of(name)]
    if splits and others:
        raise DatasetError(f"{root} holds splits ({', '.join(splits)}) beside classes ({', '.join(others)})")
    return bool(splits)


def _split_of(folder: str) -> Split:
    """``NONE`` for a folder that is not named after one."""
    try:
        return split_named(folder)
    except ValueError:
        return Split.NONE


def _video(path: Path, relative: Path, has_splits: bool) -> SourceVideo | None:
    """→ the video as its own group, None where it lies in no class folder."""
    parts = relative.parts[int(has_splits) :]
    if len(parts) < 2:
        return None
    split = _split_of(relative.parts[0]) if has_splits else Split.NONE
    inner = Path(*parts[1:]).with_suffix("")
    return SourceVideo(path, parts[0], relative.with_suffix("").as_posix(), "-".join(inner.parts), split)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise DatasetError(f"expected a regular expression for the groups, got {text!r}: {error}") from error


def _grouped(
    video: SourceVideo,
    relative: Path,
    named: re.Pattern[str] | None,
    rows: Mapping[str, tuple[str, Split | None]] | None,
) -> SourceVideo | None:
    """→ the video with its group (and split) by CSV or pattern; None where they do not know it."""
    if rows is not None:
        row = rows.get(relative.as_posix()) or rows.get(relative.name) or rows.get(relative.stem)
        return None if row is None else replace(video, group=row[0], split=video.split if row[1] is None else row[1])
    if named is not None:
        match = named.search(relative.as_posix())
        group = (match[1] if named.groups else match[0]) if match is not None else None
        return replace(video, group=group) if group else None
    return video


def _read_groups(path: Path) -> dict[str, tuple[str, Split | None]]:
    """→ {clip: (group, split; None where the row says none)}. Raises DatasetError with all bad rows."""
    rows: dict[str, tuple[str, Split | None]] = {}
    problems: list[str] = []
    for row in read_table(path, ("clip", "group", "split"), ("clip", "group"), _OTHER_NAMES, comments=True):
        try:
            clip, group = named_cell(row, "clip"), row.text("group")
            split = split_named(row.text("split")) if row.text("split") else None
        except ValueError as error:
            problems.append(f"{row.where}: {error}")
            continue
        if not group:
            problems.append(f"{row.where}: {clip!r} has no group")
        elif rows.setdefault(clip, (group, split)) != (group, split):
            problems.append(f"{row.where}: {clip!r} is listed twice with different groups or splits")
    raise_problems(problems)
    return rows
