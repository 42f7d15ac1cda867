"""Plain class folders: ``class/….mp4``, or ``train|val|test/class/….mp4``; deeper folders belong to their class.

Nothing in such a tree says which videos share a source, and each counts as its own group, unless a pattern over the
paths or a CSV says otherwise. Videos of one camera in two splits make results that do not hold: name the groups.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.data.manifest import Split
from models.data.source_video import Layout, LeftOut, SourceVideo, no_videos, uniquely_named, videos_below
from models.errors import DatasetError

_SPLITS = {"train": Split.TRAIN, "val": Split.VAL, "validation": Split.VAL, "valid": Split.VAL, "test": Split.TEST}
_EXPECTED = "class/….mp4 or train|val|test/class/….mp4"
_GROUP_COLUMNS = ("group", "source_group")


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
    for path in videos_below(root):
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
    if not reading.videos:
        raise no_videos(root, _EXPECTED, reading.left_out)
    labels = tuple(sorted({video.label for video in reading.videos}))
    return Layout(root, labels, uniquely_named(reading.videos), tuple(reading.left_out))


def _has_splits(root: Path) -> bool:
    """Whether the folders under ``root`` are splits. Raises DatasetError where some are and some are not."""
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder; expected {_EXPECTED}")
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    splits = [name for name in folders if name.lower() in _SPLITS]
    others = [name for name in folders if name.lower() not in _SPLITS]
    if splits and others:
        raise DatasetError(f"{root} holds splits ({', '.join(splits)}) beside classes ({', '.join(others)})")
    return bool(splits)


def _video(path: Path, relative: Path, has_splits: bool) -> SourceVideo | None:
    """→ the video as its own group, None where it lies in no class folder."""
    parts = relative.parts[int(has_splits) :]
    if len(parts) < 2:
        return None
    split = _SPLITS[relative.parts[0].lower()] if has_splits else Split.NONE
    inner = Path(*parts[1:]).with_suffix("")
    return SourceVideo(path, parts[0], relative.with_suffix("").as_posix(), "-".join(inner.parts), split)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise DatasetError(f"expected a regular expression for the groups, got {text!r}: {error}") from error


def _grouped(
    video: SourceVideo, relative: Path, named: re.Pattern[str] | None, rows: Mapping[str, Mapping[str, str]] | None
) -> SourceVideo | None:
    """→ the video with its group (and split) by CSV or pattern; None where they do not know it."""
    if rows is not None:
        row = rows.get(relative.as_posix()) or rows.get(relative.name) or rows.get(relative.stem)
        if row is None:
            return None
        split = _SPLITS.get(row["split"].lower(), video.split)
        return replace(video, group=row["group"], split=split)
    if named is not None:
        match = named.search(relative.as_posix())
        group = (match[1] if named.groups else match[0]) if match is not None else None
        return replace(video, group=group) if group else None
    return video


def _read_groups(path: Path) -> dict[str, dict[str, str]]:
    """→ {clip: {"group", "split"}}. Raises DatasetError with all bad rows."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(line for line in stream if not line.startswith("#"))
            names = reader.fieldnames or ()
            column = next((name for name in _GROUP_COLUMNS if name in names), None)
            if "clip" not in names or column is None:
                raise DatasetError(f"{path}: expected the columns clip and group, got {', '.join(names)}")
            cells = [(row["clip"], row[column] or "", row.get("split") or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    problems = [f"{clip!r} has no group" for clip, group, _ in cells if not group]
    problems += [f"{clip!r} has the split {part!r}" for clip, _, part in cells if part and part.lower() not in _SPLITS]
    rows: dict[str, dict[str, str]] = {}
    for clip, group, part in cells:
        row = {"group": group, "split": part}
        if rows.setdefault(clip, row) != row:
            problems.append(f"{clip!r} is listed twice with different groups or splits")
    if problems:
        raise DatasetError(f"{path}: {'; '.join(problems)}")
    return rows
