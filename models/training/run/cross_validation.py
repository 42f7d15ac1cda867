"""Grouped cross-validation: no source video lies on both sides of a fold."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from models.data.manifest import ClipRecord, Dataset
from pipeline.files import write_atomically

Indices = NDArray[np.int64]


def grouped_folds(records: Sequence[ClipRecord], targets: Sequence[int], folds: int, seed: int) -> list[Indices]:
    """→ the held-out clips of each fold: every clip once, every group in one fold, classes spread evenly."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    groups = [record.group for record in records]
    return [held_out for _, held_out in splitter.split(np.zeros(len(records)), targets, groups)]


def write_predictions(
    path: Path, dataset: Dataset, records: Sequence[ClipRecord], folds: Sequence[Indices], logits: NDArray[np.float32]
) -> None:
    """One row a held-out clip: path, label, group, fold (from 1), and its logits by class."""
    fold_of = {int(index): number for number, held_out in enumerate(folds, 1) for index in held_out}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label", "group", "fold", *dataset.labels))
    for index, record in enumerate(records):
        place = record.path.relative_to(dataset.folder).as_posix()
        writer.writerow((place, record.label, record.group, fold_of[index], *(f"{v:.5f}" for v in logits[index])))
    write_atomically(path, text.getvalue())
