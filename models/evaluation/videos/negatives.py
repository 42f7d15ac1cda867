"""Video in which a class is known not to occur: whatever is reported of it there is a false alarm.

Such videos need no annotation: whoever films calm days, or picks videos without a fight, has them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.data.class_names import same_class
from models.data.clip_file import CLIP_SUFFIXES
from models.errors import EvaluationError
from models.evaluation.videos.truth import VideoTruth

_EXPECTED = "expected CLASS[,CLASS …]=FOLDER_OR_VIDEO[:KIND], for example Fighting=recordings/shop:shop"


@dataclass(frozen=True, slots=True)
class Negatives:
    """Videos under ``folder`` (or one video) show none of ``labels``; ``kind`` is what the report calls them."""

    labels: tuple[str, ...]
    folder: Path
    kind: str


@dataclass(frozen=True, slots=True)
class Negative:
    """One video. ``group``: the source that it is cut from, as far as anybody said."""

    video: str
    labels: frozenset[str]
    kind: str
    group: str


def parse_negatives(text: str) -> Negatives:
    """``Fighting=recordings/shop:shop``. Without a kind it is the folder's name. Raises EvaluationError."""
    names, _, place = text.partition("=")
    labels = tuple(name.strip() for name in names.split(",") if name.strip())
    if not labels or not place:
        raise EvaluationError(f"{_EXPECTED}; got {text!r}")
    folder, kind = Path(place), ""
    if not folder.exists():  # a colon may also be part of the path
        path, _, kind = place.rpartition(":")
        folder = Path(path or place)
    if not folder.exists():
        raise EvaluationError(f"{folder} does not exist; {_EXPECTED}")
    return Negatives(labels, folder, kind or folder.resolve().stem)


def find_negatives(
    given: Sequence[Negatives], truths: Mapping[str, VideoTruth]
) -> tuple[dict[str, Negative], dict[str, Path]]:
    """→ each video's part as a negative, and its file, by name. Annotated ones keep their group.

    Raises EvaluationError where there is no video, where two have one name, and where an annotation says that one
    shows what it is said not to show.
    """
    found: dict[str, Negative] = {}
    files: dict[str, set[Path]] = defaultdict(set)
    problems = []
    for each in given:
        videos = list(_videos(each.folder))
        problems += [] if videos else [f"no video in {each.folder}"]
        for path in videos:
            files[path.stem].add(path.resolve())
            before = found.get(path.stem)
            labels = frozenset(each.labels) | (before.labels if before else frozenset())
            truth = truths.get(path.stem)
            found[path.stem] = Negative(path.stem, labels, each.kind, truth.group if truth else path.stem)
    problems += [f"several videos are called {name}" for name, paths in sorted(files.items()) if len(paths) > 1]
    problems += [text for each in found.values() if (text := _contradiction(each, truths.get(each.video)))]
    if problems:
        raise EvaluationError("; ".join(problems))
    return found, {name: next(iter(paths)) for name, paths in sorted(files.items())}


def _videos(place: Path) -> Iterable[Path]:
    """A named file may have any suffix; in a folder only those that are surely videos count."""
    if place.is_file():
        return [place]
    return [path for path in sorted(place.rglob("*")) if path.suffix.lower() in CLIP_SUFFIXES]


def _contradiction(negative: Negative, truth: VideoTruth | None) -> str | None:
    if truth is None:
        return None
    shown = {same_class(segment.label) for segment in truth.segments}
    both = sorted(label for label in negative.labels if same_class(label) in shown)
    return f"{negative.video} shows {', '.join(both)} by its annotation: it is no negative" if both else None
