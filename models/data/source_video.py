"""What a public layout says about its videos, before any is opened: the one form that every ``prepare_…`` yields."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.data.class_names import unify
from models.data.clip_file import CLIP_SUFFIXES
from models.data.manifest import Split
from models.errors import DatasetError

_LOG = logging.getLogger(__name__)
VIDEO_SUFFIXES = (*CLIP_SUFFIXES, ".mpg", ".mpeg", ".m4v", ".wmv", ".flv", ".3gp", ".gif")
_UNFIT = re.compile(r"[^\w() +,&'-]+")  # for a file name on any system


@dataclass(frozen=True, slots=True)
class SourceVideo:
    """One labelled video. ``name``: of its clip, without suffix, unique within its label."""

    path: Path
    label: str
    group: str
    name: str
    split: Split = Split.NONE


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A video (or a row of a list) that does not become a clip, and why."""

    what: str
    reason: str
    bad: bool = False  # a file that should be one and cannot be read, which whoever runs a tool must hear of


@dataclass(frozen=True, slots=True)
class Layout:
    """A tree as read: ``labels`` in the order that the classes get, ``left_out`` what is unusable without opening it.

    ``edition`` tells apart two readings of one tree (the list number, the CSV files): a data set made from another
    edition does not keep its splits.
    """

    root: Path
    labels: tuple[str, ...]
    videos: tuple[SourceVideo, ...]
    left_out: tuple[LeftOut, ...] = field(default=())
    edition: str = ""


def is_file(path: Path) -> bool:
    """Also for whoever may not look at it: False. ``Path.is_file`` raises PermissionError before Python 3.14."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """As ``is_file``."""
    try:
        return path.is_dir()
    except OSError:
        return False


def videos_below(root: Path, left_out: list[LeftOut]) -> Iterator[Path]:
    """Every video file under ``root``, sorted by path, hidden ones excepted; also links to nothing.

    Links that lead back are not followed, and folders that cannot be listed are added to ``left_out``. Raises
    DatasetError: no such folder.
    """

    def tell(error: OSError) -> None:
        folder = os.path.relpath(error.filename or root, root)
        left_out.append(LeftOut(folder, f"a folder that cannot be listed: {error.strerror}", bad=True))

    if not is_folder(root):
        raise DatasetError(f"{root} is no folder; expected one with videos in it")
    seen: set[str] = set()
    for folder, subfolders, names in os.walk(root, onerror=tell, followlinks=True):
        seen.add(os.path.realpath(folder))
        subfolders[:] = [
            name
            for name in sorted(subfolders)
            if not name.startswith(".") and os.path.realpath(Path(folder, name)) not in seen
        ]
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(VIDEO_SUFFIXES):
                yield Path(folder, name)


def folder_name(label: str) -> str:
    """A class's name as the name of its folder, as a clip's name: what file systems refuse becomes ``_``."""
    return _UNFIT.sub("_", label).strip(" ") or "_"


def class_names(labels: Iterable[str]) -> Mapping[str, str]:
    """Each spelling → the name of its class (``models.data.class_names``); several spellings of one are logged."""
    unified = unify(labels)
    for note in unified.notes:
        _LOG.warning("%s", note)
    return unified.names


def uniquely_named(videos: Iterable[SourceVideo]) -> tuple[SourceVideo, ...]:
    """Number the names (``name-2``) that occur again in the folder of their label, also where only case differs."""
    taken: Counter[tuple[str, str]] = Counter()
    return tuple(_numbered(video, taken) for video in videos)


def _numbered(video: SourceVideo, taken: Counter[tuple[str, str]]) -> SourceVideo:
    folder, stem = video.label, folder_name(video.name)  # each class has a folder of its own
    name, number = stem, 1
    while taken[folder, name.lower()]:
        number += 1
        name = f"{stem}-{number}"
    taken[folder, name.lower()] += 1
    return replace(video, name=name)


def no_videos(root: Path, expected: str, left_out: Iterable[LeftOut]) -> DatasetError:
    """The error for a tree in which nothing fits, with the first few things that were there instead."""
    found = [f"{item.what} ({item.reason})" for item in left_out]
    shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
    return DatasetError(f"{root} holds no usable video; expected {expected}" + (f"; found {shown}" if found else ""))
