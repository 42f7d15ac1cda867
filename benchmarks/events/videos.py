"""The real videos beside the project (../shared/data): of what kind each is, what is true of it, whose source it is."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.data.clip_file import CLIP_SUFFIXES
from models.evaluation.videos.truth import VideoTruth, read_video_truths

SUFFIXES = (*CLIP_SUFFIXES, ".264")
FIGHT = "Fight"  # what surveillance/clips.csv says of whole videos
KINDS: Mapping[str, str] = {  # folder → kind; all of them without a fight
    "pets": "street",
    "mot": "street",
    "misc": "street",
    "falls": "home",
    "workout": "workout",
    "ucf101/ApplyLipstick": "home",
    "ucf101/BabyCrawling": "home",
    "ucf101/Archery": "sport",
    "ucf101/BaseballPitch": "sport",
    "ucf101/BandMarching": "crowd",
}
SURVEILLANCE = "surveillance"
FIGHTS = "fight"
KNOWN_GROUPS: Mapping[str, str] = {"vtest": "46", "one-by-one-person-detection": "47"}  # labelled as surveillance is
_UCF_GROUP = re.compile(r"v_(\w+)_g(\d+)_c\d+")


@dataclass(frozen=True, slots=True)
class Video:
    """``group``: the source that it is cut from. ``kind``: what is to be seen; ``fight`` for those that show one."""

    path: Path
    kind: str
    group: str
    name: str  # of its own among all


def read_videos(data: Path) -> tuple[list[Video], dict[str, VideoTruth]]:
    """→ every video, and the annotation of the surveillance videos. Raises EvaluationError.

    All kinds are mixed, so that what an interrupted run has done is a fair part.
    """
    truths = read_video_truths([data / SURVEILLANCE])
    files = _files(data / SURVEILLANCE)
    cctv = [Video(files[name], _kind(truth), truth.group, name) for name, truth in truths.items() if name in files]
    others = [
        Video(path, kind, group_of(folder, name), name)
        for folder, kind in KINDS.items()
        for name, path in _files(data / folder).items()
    ]
    return sorted([*cctv, *others], key=lambda video: zlib.crc32(video.name.encode())), truths


def thinned(videos: Sequence[Video], every: Mapping[str, int]) -> list[Video]:
    """Of the kinds named only every so many-th source, with all of its videos."""
    sources: dict[str, list[str]] = {}
    for video in videos:
        known = sources.setdefault(video.kind, [])
        if video.group not in known:
            known.append(video.group)
    return [v for v in videos if sources[v.kind].index(v.group) % every.get(v.kind, 1) == 0]


def group_of(folder: str, name: str) -> str:
    """The source of a video that is not surveillance: one person, room or camera. Else each video is its own."""
    if name in KNOWN_GROUPS:
        return KNOWN_GROUPS[name]
    if folder == "falls":  # s1_fall_13: subject 1
        return f"falls-{name.partition('_')[0]}"
    ucf = _UCF_GROUP.fullmatch(name)
    return f"{ucf[1]}-{ucf[2]}" if ucf else name


def fold_of(group: str, folds: Sequence[set[str]]) -> int:
    """→ from 1: the fold whose network did not learn from ``group``; a fixed one where none of them did."""
    for number, groups in enumerate(folds, 1):
        if group in groups:
            return number
    return zlib.crc32(group.encode()) % len(folds) + 1


def _kind(truth: VideoTruth) -> str:
    return FIGHTS if truth.label == FIGHT else SURVEILLANCE


def _files(folder: Path) -> dict[str, Path]:
    return dict(_named(sorted(folder.rglob("*"))))


def _named(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Two files of one name get their folder's name before it."""
    videos = [path for path in paths if path.suffix.lower() in SUFFIXES]
    counts = Counter(path.stem for path in videos)
    for path in videos:
        yield path.stem if counts[path.stem] == 1 else f"{path.parent.name}-{path.stem}", path
