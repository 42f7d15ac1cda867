"""How much of what is in a data set: clips and groups per class and split, durations; as rows for a table and a CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.data.manifest import ClipRecord, Dataset, Split
from pipeline.files import write_atomically

STATS_FOLDER, STATS_FILE = "stats", "stats.csv"
UNLABELLED = "(no label)"


@dataclass(frozen=True, slots=True)
class ClassStats:
    """One class (or all). ``clips`` and ``groups`` by split, rows of the manifest counted as often as they stand there.

    ``files``: different clips. Durations are seconds of media time.
    """

    label: str
    clips: dict[Split, int]
    groups: dict[Split, int]
    files: int
    total_s: float
    shortest_s: float
    median_s: float
    longest_s: float


def duration_s(record: ClipRecord, rate_hz: float) -> float:
    """Media time that a clip shows; from the number of its crops where the manifest holds no times."""
    return record.end_s - record.start_s if record.end_s > record.start_s else record.filled / rate_hz


def class_stats(dataset: Dataset) -> list[ClassStats]:
    """One entry a class in the order of the logits, also for classes without clips; unlabelled clips; then ``all``."""
    rows = [_stats(label, [r for r in dataset.records if r.label == label], dataset) for label in dataset.labels]
    unlabelled = [record for record in dataset.records if not record.label]
    if unlabelled:
        rows.append(_stats(UNLABELLED, unlabelled, dataset))
    return [*rows, _stats("all", dataset.records, dataset)]


def _stats(label: str, records: Sequence[ClipRecord], dataset: Dataset) -> ClassStats:
    durations = np.array([duration_s(record, dataset.info.input.rate_hz) for record in records] or [0.0])
    return ClassStats(
        label=label,
        clips={split: sum(record.split is split for record in records) for split in Split},
        groups={split: len({record.group for record in records if record.split is split}) for split in Split},
        files=len({record.path for record in records}),
        total_s=float(durations.sum()),
        shortest_s=float(durations.min()),
        median_s=float(np.median(durations)),
        longest_s=float(durations.max()),
    )


def stats_rows(stats: Sequence[ClassStats]) -> list[list[str]]:
    """A heading and one row a class: clips in each split that has any (with its groups), files, durations."""
    splits = [split for split in Split if any(item.clips[split] for item in stats)]
    names = [split.value or "undecided" for split in splits]
    heading = ["class", *(f"{name}{what}" for name in names for what in ("", " groups")), "files"]
    rows = [[*heading, "total s", "shortest s", "median s", "longest s"]]
    for item in stats:
        counts = [str(number) for split in splits for number in (item.clips[split], item.groups[split])]
        times = (item.total_s, item.shortest_s, item.median_s, item.longest_s)
        rows.append([item.label, *counts, str(item.files), *(f"{value:.2f}" for value in times)])
    return rows


def write_stats(folder: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Rows → ``folder``/stats/stats.csv."""
    path = folder / STATS_FOLDER / STATS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomically(path, text.getvalue())
    return path
