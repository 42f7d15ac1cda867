"""Augmentation ahead of training: clips changed at random are written until every class has the number wanted.

A copy lies beside its source as ``<name>_aug-<recipe>-<number>``, with its label, group and split, so that no group
can come to lie in two splits. ``recipe`` stands for the settings and the seed: an interrupted run goes on where it
was, and other settings never mix with what is there. The manifest is written last, with all copies in it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.data.balance import WHOLE_FILE
from models.data.batches.augment import augment_clip
from models.data.batches.augment_config import DEFAULT_AUGMENTATION, AugmentConfig, draw_clip, draw_speed
from models.data.batches.clip_window import WindowConfig, WindowMode, samples, window_indices
from models.data.batches.input_pipeline import clip_number
from models.data.clip_file import CLIP_SUFFIXES, ClipFormat, clip_name, read_clip, write_clip
from models.data.manifest import ClipRecord, Dataset, Split, write_dataset
from models.errors import DatasetError

Progress = Callable[[int, int], None]  # clips done, clips in all
_COPY = re.compile(r"_aug-[0-9a-f]{8}-\d+$")


@dataclass(frozen=True, slots=True)
class OfflineConfig:
    """``per_class`` clips of every class in each of ``splits``; classes that have more keep what they have."""

    per_class: int
    splits: tuple[Split, ...] = (Split.TRAIN,)
    augment: AugmentConfig = DEFAULT_AUGMENTATION
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_class < 1 or self.seed < 0 or not self.splits:
            raise DatasetError(f"expected per_class >= 1, seed >= 0 and a split, got {self}")


@dataclass(frozen=True, slots=True)
class _Copy:
    source: ClipRecord
    path: Path
    number: int


def augment_dataset(dataset: Dataset, config: OfflineConfig, progress: Progress) -> Dataset:
    """Write the copies that are missing, then the manifest → the data set with them at its end.

    Raises DatasetError before any work for classes without a clip to copy, and at the end, when the copies of all the
    others are in the data set, for clips that cannot be read.
    """
    if (dataset.folder / WHOLE_FILE).exists():
        raise DatasetError(f"{dataset.folder} is balanced: undo that first (`actoscope dataset balance --undo`)")
    copies = _plan(dataset, config)
    made, failed = [], []
    progress(0, len(copies))
    for done, copy in enumerate(copies, 1):
        try:
            made.append(_make(copy, config, dataset.info.input.rate_hz))
        except DatasetError as error:
            failed.append(str(error))
        progress(done, len(copies))
    augmented = replace(dataset, records=(*dataset.records, *made))
    write_dataset(augmented)
    if failed:
        raise DatasetError(f"{len(set(failed))} clips cannot be copied: {'; '.join(sorted(set(failed)))}")
    return augmented


def is_copy(record: ClipRecord) -> bool:
    """Whether the clip was written by ``augment_dataset``."""
    return _COPY.search(_stem(record.path)) is not None


def count_clips(dataset: Dataset) -> dict[tuple[Split, str], tuple[int, int]]:
    """→ by split and class: sources and copies."""
    counts = Counter((record.split, record.label, is_copy(record)) for record in dataset.records)
    keys = sorted({(split, label) for split, label, _ in counts})
    return {key: (counts[(*key, False)], counts[(*key, True)]) for key in keys}


def _plan(dataset: Dataset, config: OfflineConfig) -> list[_Copy]:
    counts = count_clips(dataset)
    empty = [
        f"{label} in {split.value}"
        for split in config.splits
        for label in dataset.labels
        if counts.get((split, label), (0, 0))[0] == 0
    ]
    if empty:
        raise DatasetError(f"there is no clip to make others from: {', '.join(empty)}")
    taken = {record.path for record in dataset.records}
    sources = defaultdict(list)
    for record in dataset.records:
        if not is_copy(record):
            sources[record.split, record.label].append(record)
    copies: list[_Copy] = []
    for split in config.splits:
        for label in dataset.labels:
            missing = config.per_class - sum(counts[split, label])
            endless = _endless(sources[split, label], config, taken)
            copies += [next(endless) for _ in range(missing)]
    return copies


def _endless(sources: Sequence[ClipRecord], config: OfflineConfig, taken: set[Path]) -> Iterator[_Copy]:
    """Copies whose names are free: one of every source, in an order by seed, then a second of every source …"""
    order = np.random.default_rng([config.seed, len(sources)]).permutation(len(sources))
    recipe = _recipe(config)
    number = 0
    while True:
        for index in order:
            path = _copy_path(sources[index].path, recipe, number)
            if path not in taken:
                yield _Copy(sources[index], path, number)
        number += 1


def _make(copy: _Copy, config: OfflineConfig, rate_hz: float) -> ClipRecord:
    """Write the clip unless it is there → its row of the manifest."""
    rng = np.random.default_rng([config.seed, clip_number(copy.source), copy.number])
    speed, draw = draw_speed(config.augment, rng), draw_clip(config.augment, rng)
    if not copy.path.exists():
        clip = read_clip(copy.source.path)
        whole = WindowConfig(samples(len(clip), speed), WindowMode.FIRST, speed)
        picked = clip[window_indices(len(clip), whole)]
        write_clip(copy.path, augment_clip(picked, draw), rate_hz, _form(copy.path))
    return replace(copy.source, path=copy.path, filled=round(copy.source.filled / speed))


def _recipe(config: OfflineConfig) -> str:
    return hashlib.sha256(f"1 {config.seed} {config.augment}".encode()).hexdigest()[:8]


def _stem(path: Path) -> str:
    return path.name if _form(path) is ClipFormat.JPEG else path.stem


def _copy_path(source: Path, recipe: str, number: int) -> Path:
    return source.with_name(clip_name(f"{_stem(source)}_aug-{recipe}-{number:03d}", _form(source)))


def _form(path: Path) -> ClipFormat:
    """By the name alone, since it is asked of files yet to come; a folder's name may hold a dot, too."""
    if path.suffix.lower() not in CLIP_SUFFIXES:
        return ClipFormat.JPEG
    return ClipFormat.FFV1 if path.suffix.lower() == ".mkv" else ClipFormat.H264
