"""The data set of one retraining: chosen corrections and, where there is one, the base data set, in one folder.

Clips are linked, so that what is judged at the end is what was there at the beginning. The audit sample, and the test
and val splits of the base data, stand in the split test: nothing learns from them. A folder that is there is taken as
it is, so that a training that is taken up again learns from the same clips.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from models.data.manifest import (
    MANIFEST_FILE,
    ClipRecord,
    Dataset,
    DatasetInfo,
    Split,
    class2label,
    read_dataset,
    write_dataset,
)
from models.errors import DatasetError
from models.retraining.corrections import Correction
from models.retraining.examples import Chosen
from models.weights.cards import ModelCard
from pipeline.files import write_atomically

CORRECTIONS, BASE = "corrections", "base"
BASE_GROUP = "base/"  # before the groups of the base data: they are apart from every camera's


@dataclass(frozen=True, slots=True)
class Mixture:
    """``dataset``: train, and test for what is judged on. Of corrections, ``video`` is the camera's id."""

    dataset: Dataset

    @property
    def learnt(self) -> tuple[ClipRecord, ...]:
        return tuple(each for each in self.dataset.of(Split.TRAIN) if not _is_base(each))

    @property
    def audit(self) -> tuple[ClipRecord, ...]:
        return tuple(each for each in self.dataset.of(Split.TEST) if not _is_base(each))

    @property
    def base_test(self) -> tuple[ClipRecord, ...]:
        return tuple(each for each in self.dataset.of(Split.TEST) if _is_base(each))

    @property
    def base_train(self) -> tuple[ClipRecord, ...]:
        return tuple(each for each in self.dataset.of(Split.TRAIN) if _is_base(each))

    def sha256(self) -> str:
        """→ of every clip's place, label and split: corrections are named by their ids, which never change."""
        rows = sorted(f"{_place(each, self.dataset)} {each.label} {each.split.value}" for each in self.dataset.records)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def make_mixture(folder: Path, card: ModelCard, chosen: Chosen, base: Path | None) -> Mixture:
    """Raises DatasetError where the base data does not fit the network, OSError where the disk fails."""
    records = [_linked(each, folder) for each in (*chosen.train, *chosen.audit)]
    if base is not None:
        records += _base_records(base, folder, card)
    info = DatasetInfo(class2label=class2label(card.labels), input=card.input, description=card.data)
    dataset = Dataset(folder, info, tuple(records))
    write_dataset(dataset)
    return Mixture(dataset)


def read_mixture(folder: Path) -> Mixture | None:
    """→ None where there is none yet: its manifest is written last."""
    return Mixture(read_dataset(folder)) if (folder / MANIFEST_FILE).is_file() else None


def _linked(each: Correction, folder: Path) -> ClipRecord:
    """→ the row of a correction, whose clip is linked, or copied where the disk is another."""
    path = folder / CORRECTIONS / f"{each.id}{each.clip.suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        try:
            os.link(each.clip, path)
        except OSError:
            with each.clip.open("rb") as clip:  # whole or not at all: what is there is taken as it is later
                write_atomically(path, partial(shutil.copyfileobj, clip))
    split = Split.TEST if each.audit else Split.TRAIN
    return ClipRecord(path, each.label, each.group, split, each.stream_id, each.track_id, each.start_s, each.end_s)


def _base_records(base: Path, folder: Path, card: ModelCard) -> list[ClipRecord]:
    """Clips of classes that the network does not know are no part of it."""
    whole = read_dataset(base)
    _check_form(whole, card)
    link = folder / BASE
    if not link.is_symlink():
        link.symlink_to(base.resolve(), target_is_directory=True)
    known = [each for each in whole.records if each.label in card.labels and each.split is not Split.NONE]
    if not {Split.VAL, Split.TEST} & {each.split for each in known}:
        raise DatasetError(f"{base} has no clip in val or test: nothing says what the network knew before")
    return [_of_base(each, whole, link) for each in known]


def _of_base(each: ClipRecord, whole: Dataset, link: Path) -> ClipRecord:
    split = Split.TRAIN if each.split is Split.TRAIN else Split.TEST
    path = link / each.path.relative_to(whole.folder)
    return replace(each, path=path, group=f"{BASE_GROUP}{each.group}", split=split)


def _check_form(whole: Dataset, card: ModelCard) -> None:
    theirs, ours = whole.info.input, card.input
    if (theirs.kind, theirs.rate_hz, theirs.margin) != (ours.kind, ours.rate_hz, ours.margin):
        raise DatasetError(
            f"{whole.folder} holds {theirs.kind} of {theirs.rate_hz:g} Hz with a margin of {theirs.margin:g}; "
            f"{card.name} reads {ours.kind} of {ours.rate_hz:g} Hz with {ours.margin:g}"
        )


def _is_base(each: ClipRecord) -> bool:
    return each.group.startswith(BASE_GROUP)


def _place(each: ClipRecord, dataset: Dataset) -> str:
    return each.path.relative_to(dataset.folder).as_posix()


def by_camera(records: Sequence[ClipRecord]) -> dict[str, list[int]]:
    """→ which rows are of each camera, by its id."""
    rows: dict[str, list[int]] = {}
    for index, each in enumerate(records):
        rows.setdefault(each.video, []).append(index)
    return rows
