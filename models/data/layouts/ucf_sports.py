"""UCF Sports Action (Rodriguez et al. 2008, https://www.crcv.ucf.edu/data/UCF_Sports_Action.php): ``Class/001/….avi``.

The nesting is flattened, and the views of one action become one class: Golf-Swing-Back, -Front and -Side are
Golf-Swing, Kicking-Front and -Side are Kicking. Videos under one second are to be left out (``min_s`` of the cutter).
"""

from __future__ import annotations

import re
from pathlib import Path

from models.data.source_video import Layout, LeftOut, SourceVideo, is_folder, no_videos, uniquely_named, videos_below
from models.errors import DatasetError

MIN_S = 1.0
MERGED = {
    "Golf-Swing-Back": "Golf-Swing",
    "Golf-Swing-Front": "Golf-Swing",
    "Golf-Swing-Side": "Golf-Swing",
    "Kicking-Front": "Kicking",
    "Kicking-Side": "Kicking",
}
_BY_LOWER = {name.lower(): merged for name, merged in MERGED.items()}
_TAPE = re.compile(r"(?P<tape>.+)_\d{5,}")  # 2538-5_70133.avi: stock footage, and where in it


def read_ucf_sports(root: Path) -> Layout:
    """The tree under ``root``. Videos cut from the same tape (by file name) are one group, others are by themselves.

    Folders without video are left out and told. Raises DatasetError: no such folder, or no usable video in it.
    """
    videos: list[SourceVideo] = []
    left_out: list[LeftOut] = []
    for path in videos_below(root, left_out):
        parts = path.relative_to(root).parts
        if len(parts) != 3:
            left_out.append(LeftOut(path.relative_to(root).as_posix(), "it does not lie in Class/001/"))
            continue
        view, number, _ = parts
        tape = _TAPE.fullmatch(path.stem)
        group = tape["tape"] if tape is not None else f"{view}-{number}"
        videos.append(SourceVideo(path, _BY_LOWER.get(view.lower(), view), group, f"{view}-{number}"))
    left_out += _empty_folders(root)
    if not videos:
        raise no_videos(root, "Class/001/….avi", left_out)
    labels = tuple(sorted({video.label for video in videos}))
    return Layout(root, labels, uniquely_named(videos), tuple(left_out))


def _empty_folders(root: Path) -> list[LeftOut]:
    """The numbered folders without video: some of the original set hold pictures only."""
    try:
        folders = sorted(path for path in root.glob("*/*") if is_folder(path) and path.name.isdecimal())
    except OSError as error:
        raise DatasetError(f"{root} cannot be read: {error}") from error
    return [
        LeftOut(folder.relative_to(root).as_posix(), "there is no video in it")
        for folder in folders
        if _is_without_video(folder)
    ]


def _is_without_video(folder: Path) -> bool:
    """Not for one that cannot be listed, which is told of elsewhere."""
    closed: list[LeftOut] = []
    return next(videos_below(folder, closed), None) is None and not closed
