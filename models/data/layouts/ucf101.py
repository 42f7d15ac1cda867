"""UCF101 (Soomro et al. 2012, https://www.crcv.ucf.edu/data/UCF101.php): ``Class/v_Class_gNN_cNN.avi`` and its lists.

``classInd.txt`` numbers the classes from 1; ``trainlist0N.txt`` names files with their class number, ``testlist0N.txt``
files alone. Group NN of a class is one source: the official lists keep it together. They know no val split; carve
one out of train by group afterwards (``actoscope dataset split --of train``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.data.manifest import Split
from models.data.source_video import Layout, LeftOut, SourceVideo, no_videos, uniquely_named, videos_below
from models.errors import DatasetError

_NAME = re.compile(r"v_(?P<label>.+)_g(?P<group>\d+)_c(?P<clip>\d+)", re.IGNORECASE)
_EXPECTED = "Class/v_Class_gNN_cNN.avi"


@dataclass(frozen=True, slots=True)
class _Lists:
    """``splits`` by file name without suffix, in lower case; ``labels`` in the order of classInd.txt."""

    labels: tuple[str, ...]
    splits: Mapping[str, Split]
    shown: Mapping[str, str]  # the entries as written


def read_ucf101(root: Path, lists: Path | None = None, number: int = 1) -> Layout:
    """The tree under ``root`` with the official lists ``number`` (1 to 3) in the folder ``lists``; no lists: no splits.

    Files beside the naming rule or the lists, and listed files that are missing, are left out and told. Raises
    DatasetError: no such folder or lists, lists that contradict each other (every contradiction), no usable video.
    """
    official = _read_lists(lists, number) if lists is not None else None
    left_out: list[LeftOut] = []
    videos: list[SourceVideo] = []
    names = {label.lower(): label for label in official.labels} if official is not None else {}
    seen: set[str] = set()
    for path in videos_below(root, left_out):
        match = _NAME.fullmatch(path.stem)
        problem = "it is not named v_Class_gNN_cNN" if match is None else _unlisted(path, official, seen)
        if match is None or problem:
            left_out.append(LeftOut(path.relative_to(root).as_posix(), problem))
            continue
        seen.add(path.stem.lower())
        # HandstandPushups holds files named v_HandStandPushups_…: case does not count.
        label = names.setdefault(match["label"].lower(), match["label"])
        split = official.splits[path.stem.lower()] if official is not None else Split.NONE
        videos.append(SourceVideo(path, label, f"{label}_g{match['group']}", path.stem, split))
    if official is not None:
        left_out += [LeftOut(official.shown[stem], "it is not there") for stem in official.splits if stem not in seen]
    if not videos:
        raise no_videos(root, _EXPECTED, left_out)
    labels = official.labels if official is not None else tuple(sorted(set(names.values())))
    return Layout(root, labels, uniquely_named(videos), tuple(left_out), f"lists {number}" if official else "")


def _unlisted(path: Path, official: _Lists | None, seen: set[str]) -> str:
    if path.stem.lower() in seen:
        return "a file of this name was found before"
    return "it is in neither list" if official is not None and path.stem.lower() not in official.splits else ""


def _read_lists(folder: Path, number: int) -> _Lists:
    files = [folder / name for name in ("classInd.txt", f"trainlist{number:02d}.txt", f"testlist{number:02d}.txt")]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise DatasetError(f"expected the official lists of UCF101, but there is no {', '.join(missing)}")
    numbers = _read_classes(files[0])
    problems: list[str] = []
    splits: dict[str, Split] = {}
    shown: dict[str, str] = {}
    for path, split in ((files[1], Split.TRAIN), (files[2], Split.TEST)):
        for where, entry, given in _entries(path):
            stem = Path(entry).stem.lower()
            problems += [f"{where}: {problem}" for problem in _contradictions(entry, given, numbers, splits)]
            splits[stem], shown[stem] = split, entry
    if problems:
        raise DatasetError(f"the lists of UCF101 contradict each other: {'; '.join(problems)}")
    return _Lists(tuple(sorted(numbers, key=numbers.__getitem__)), splits, shown)


def _entries(path: Path) -> Iterator[tuple[str, str, str]]:
    """→ (file:line, path of the video, its class number or '')."""
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        entry, _, number = text.strip().partition(" ")
        if entry:
            yield f"{path.name}:{line}", entry, number.strip()


def _contradictions(entry: str, given: str, numbers: Mapping[str, int], splits: Mapping[str, Split]) -> Iterator[str]:
    match = _NAME.fullmatch(Path(entry).stem)
    by_lower = {label.lower(): number for label, number in numbers.items()}
    if match is None:
        yield f"{entry} is not named v_Class_gNN_cNN"
        return
    if match["label"].lower() not in by_lower:
        yield f"{entry} is of no class in classInd.txt"
    elif given and given != str(by_lower[match["label"].lower()]):
        yield f"{entry} has class number {given}, by classInd.txt {by_lower[match['label'].lower()]}"
    if Path(entry).stem.lower() in splits:
        yield f"{entry} is listed twice"


def _read_classes(path: Path) -> dict[str, int]:
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not all(len(row) == 2 and row[0].isdecimal() for row in rows):
        raise DatasetError(f"{path}: expected lines like '1 ApplyEyeMakeup'")
    numbers = {label: int(number) for number, label in rows}
    if sorted(numbers.values()) != list(range(1, len(rows) + 1)):
        raise DatasetError(f"{path}: expected the classes numbered 1 to {len(rows)}, each once")
    return numbers
