"""Features of every person's views, computed once: CACHE/<view>/<person>.npy, float16 (rows, …).

Rows of a clip: each window as it is, then its mirror image. A run that is stopped goes on with the next video.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from benchmarks.voice.views import Clip, View, cut
from models.data.tracks.ways import LabelledWay
from pipeline.files import write_atomically

Network = Callable[[Clip], NDArray[np.float16]]
Say = Callable[[str], None]


def compute(
    people: Mapping[str, Sequence[LabelledWay]],
    views: Mapping[str, View],
    network_of: Callable[[View], Network],
    cache: Path,
    say: Say,
) -> None:
    """Every view of every person that is not in ``cache`` yet, video by video."""
    made: dict[tuple[int, int, bool], Network] = {}
    for number, (video, found) in enumerate(people.items(), 1):
        missing = _missing(found, views, cache)
        if not missing:
            continue
        for name, person, clips in cut(found, {name: views[name] for name in missing}):
            view = views[name]
            if (file := feature_file(cache, name, person)).is_file():
                continue
            key = (view.length, view.size, view.skeleton)
            network = made[key] = made.get(key) or network_of(view)
            looks = [each for clip in clips for each in ((clip, clip[:, :, ::-1]) if view.mirror else (clip,))]
            rows = np.stack([network(each) for each in looks])
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, partial(_save, rows))
        say(f"{number} of {len(people)} videos: {video}, {', '.join(missing)}")


def _save(rows: NDArray[np.float16], stream: IO[bytes]) -> None:
    np.save(stream, rows)


def _missing(people: Sequence[LabelledWay], views: Mapping[str, View], cache: Path) -> list[str]:
    return [name for name in views if not all(feature_file(cache, name, person).is_file() for person in people)]


def feature_file(cache: Path, view: str, person: LabelledWay) -> Path:
    return cache / view / f"{person.name}.npy"


def read(cache: Path, view: str, people: Sequence[LabelledWay]) -> list[NDArray[np.float16]] | None:
    """→ the rows of each person; None where one is missing."""
    files = [feature_file(cache, view, person) for person in people]
    return [np.load(file) for file in files] if all(file.is_file() for file in files) else None
