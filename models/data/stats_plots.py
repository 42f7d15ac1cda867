"""The statistics of a data set as pictures: clips per class and split, groups per class, durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.data.manifest import Dataset, Split
from models.data.stats import STATS_FOLDER, ClassStats, duration_s
from pipeline.files import write_atomically

_COLOURS = {Split.TRAIN: "#4477aa", Split.VAL: "#ddaa33", Split.TEST: "#bb5566", Split.NONE: "#999999"}  # Paul Tol's
_INCHES_PER_CLASS, _MAX_INCHES = 0.28, 120.0
_BINS = 40


def write_plots(dataset: Dataset, stats: Sequence[ClassStats]) -> list[Path]:
    """→ the PNG files in the data set's folder stats/: clips.png, groups.png, durations.png. Raises OSError."""
    folder = dataset.folder / STATS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    classes = [item for item in stats if item.label != "all"]
    labels = [item.label for item in classes]
    figures = {
        "clips.png": _bars("clips", labels, [item.clips for item in classes]),
        "groups.png": _bars("groups (sources)", labels, [item.groups for item in classes]),
        "durations.png": _durations(dataset),
    }
    return [_save(figure, folder / name) for name, figure in figures.items()]


def _figure(**options: Any) -> Any:
    """→ matplotlib.figure.Figure."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra that only plots need

    return Figure(**options)


def _bars(title: str, labels: Sequence[str], counts: Sequence[Mapping[Split, int]]) -> Any:
    """Horizontal bars, one a class, stacked by split; as high as there are classes."""
    figure = _figure(figsize=(8, min(_MAX_INCHES, 1.6 + _INCHES_PER_CLASS * len(labels))), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(labels))
    for split, colour in _COLOURS.items():
        widths = np.array([count[split] for count in counts], float)
        if widths.any():
            axes.barh(range(len(labels)), widths, left=left, color=colour, label=split.value or "undecided")
            left += widths
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(title)
    if left.any():
        figure.legend(loc="outside upper right", ncols=len(Split))
    return figure


def _durations(dataset: Dataset) -> Any:
    figure = _figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    times = {split: [duration_s(r, dataset.info.input.rate_hz) for r in dataset.of(split)] for split in _COLOURS}
    present = {split: found for split, found in times.items() if found}
    if present:
        names = [split.value or "undecided" for split in present]
        colours = [_COLOURS[split] for split in present]
        axes.hist(list(present.values()), bins=_BINS, stacked=True, color=colours, label=names)
        figure.legend(loc="outside upper right", ncols=len(Split))
    axes.set_xlabel("duration of a clip (s)")
    axes.set_ylabel("clips")
    return figure


def _save(figure: Any, path: Path) -> Path:
    write_atomically(path, lambda file: figure.savefig(file, dpi=110, format="png"))
    return path
