"""A target number of clips per class: rows of the manifest repeated or left out, the clips themselves untouched.

Every row is augmented by draws of its own, so a repeated clip is seen in other forms. The whole manifest stays beside
the balanced one: balancing again begins from it, so that nothing adds up or gets lost, and it can be restored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain, zip_longest
from pathlib import Path
from statistics import fmean, median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.data.leaks import check_leaks
from models.data.manifest import (
    MANIFEST_FILE,
    ClipRecord,
    Dataset,
    Split,
    read_dataset,
    write_dataset,
)
from models.errors import DatasetError
from pipeline.files import write_atomically

WHOLE_FILE = "manifest.whole.csv"
Target = int | Literal["min", "median", "mean", "max"]


class Resample(str, Enum):
    """What may be done to reach the target."""

    BOTH = "both"
    OVER = "over"  # only repeat clips of small classes
    UNDER = "under"  # only leave out clips of large classes


@dataclass(frozen=True, slots=True)
class BalanceConfig:
    """``target`` clips per class, or a statistic of the classes' numbers of clips, in each of ``splits`` by itself."""

    target: Target
    splits: tuple[Split, ...] = (Split.TRAIN,)
    resample: Resample = Resample.BOTH
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.target, int) and self.target < 1:
            raise DatasetError(f"expected a target of at least 1 clip per class, got {self.target}")


def balance(records: Sequence[ClipRecord], config: BalanceConfig) -> tuple[ClipRecord, ...]:
    """→ the rows in their order, some repeated (next to each other), some left out. Clips without label stay as is.

    What is left out is spread over the groups: of large ones first. Raises DatasetError when a split has no clip.
    """
    copies = np.ones(len(records), int)
    for number, part in enumerate(config.splits):
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for index, record in enumerate(records):
            if record.split is part and record.label:
                rows[record.label].append(index)
        if not rows:
            raise DatasetError(
                f"there is no labelled clip in {part.value or 'no split'} to balance; split the data first"
            )
        target = _target([len(indices) for indices in rows.values()], config.target)
        for place, label in enumerate(sorted(rows)):
            rng = np.random.default_rng([config.seed, number, place])
            copies[rows[label]] = _copies([records[index].group for index in rows[label]], target, config.resample, rng)
    return tuple(chain.from_iterable([record] * count for record, count in zip(records, copies, strict=True)))


def balance_dataset(folder: Path, config: BalanceConfig) -> Dataset:
    """Balance the data set in ``folder``, from its whole manifest. → as written. Raises DatasetError, LeakError."""
    whole = read_whole(folder)
    check_leaks(whole.records)
    balanced = replace(whole, records=balance(whole.records, config))
    if not is_balanced(folder):
        write_atomically(folder / WHOLE_FILE, (folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    write_dataset(balanced)
    return balanced


def restore(folder: Path) -> Dataset:
    """The whole manifest again. Raises DatasetError when the data set is not balanced."""
    if not is_balanced(folder):
        raise DatasetError(f"{folder} is not balanced: there is no {WHOLE_FILE} in it")
    (folder / WHOLE_FILE).replace(folder / MANIFEST_FILE)
    return read_dataset(folder)


def is_balanced(folder: Path) -> bool:
    return (folder / WHOLE_FILE).exists()


def refuse_balanced(folder: Path) -> None:
    """Raises DatasetError: what is to be changed would be changed in the balanced manifest only."""
    if is_balanced(folder):
        raise DatasetError(f"{folder} is balanced: restore its whole manifest first (actoscope dataset balance --undo)")


def read_whole(folder: Path) -> Dataset:
    """The data set with its whole manifest, balanced or not. Raises DatasetError."""
    return read_dataset(folder, WHOLE_FILE if is_balanced(folder) else MANIFEST_FILE)


def _target(sizes: Sequence[int], target: Target) -> int:
    if isinstance(target, int):
        return target
    statistics = {"min": min(sizes), "median": median(sizes), "mean": fmean(sizes), "max": max(sizes)}
    return round(statistics[target])


def _copies(groups: Sequence[str], target: int, resample: Resample, rng: np.random.Generator) -> NDArray[np.int_]:
    """``groups`` of the clips of one class → how often each clip is to be in the manifest."""
    size = len(groups)
    unneeded = Resample.OVER if size > target else Resample.UNDER
    if resample is unneeded:
        return np.ones(size, int)
    whole_rounds, rest = divmod(target, size)
    copies = np.full(size, whole_rounds)
    copies[_around(groups, rng)[:rest]] += 1
    return copies


def _around(groups: Sequence[str], rng: np.random.Generator) -> list[int]:
    """→ all indices, one of each group, then the next of each group, …; both in random order."""
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index in rng.permutation(len(groups)).tolist():
        members[groups[index]].append(index)
    rounds = zip_longest(*members.values())
    return [index for one_each in rounds for index in one_each if index is not None]
