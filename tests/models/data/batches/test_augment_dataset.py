from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.data.balance import WHOLE_FILE
from models.data.batches import augment_dataset as module
from models.data.batches.augment_config import NO_AUGMENTATION, AugmentConfig
from models.data.batches.augment_dataset import OfflineConfig, augment_dataset, count_clips, is_copy
from models.data.clip_file import ClipFormat, clip_name, read_clip, write_clip
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label, read_dataset, write_dataset
from models.errors import DatasetError
from tests.models.data.footage import record_of, street


def unheard(done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Train: Walking 2, Standing 1. Val: one of each."""
    folder = tmp_path / "data"
    wanted = [("w1", "Walking", Split.TRAIN), ("w2", "Walking", Split.TRAIN), ("s1", "Standing", Split.TRAIN)]
    wanted += [("w3", "Walking", Split.VAL), ("s2", "Standing", Split.VAL)]
    records = tuple(
        record_of(folder, street(10 + index, 32), name, label, split)
        for index, (name, label, split) in enumerate(wanted)
    )
    made = Dataset(folder, DatasetInfo(class2label=class2label(["Standing", "Walking"])), records)
    write_dataset(made)
    return made


def numbers(dataset: Dataset, split: Split) -> Counter[str]:
    return Counter(record.label for record in dataset.of(split))


def test_augment_fills_every_class_of_the_training_split_only(dataset: Dataset) -> None:
    made = augment_dataset(dataset, OfflineConfig(5), unheard)
    assert numbers(made, Split.TRAIN) == {"Walking": 5, "Standing": 5}
    assert numbers(made, Split.VAL) == {"Walking": 1, "Standing": 1}
    assert read_dataset(dataset.folder) == made
    assert count_clips(made)[Split.TRAIN, "Standing"] == (1, 4)


def test_augment_any_split_on_request(dataset: Dataset) -> None:
    made = augment_dataset(dataset, OfflineConfig(3, (Split.TRAIN, Split.VAL)), unheard)
    assert numbers(made, Split.VAL) == numbers(made, Split.TRAIN) == {"Walking": 3, "Standing": 3}


def test_augment_copies_are_real_clips_of_their_source(dataset: Dataset) -> None:
    config = OfflineConfig(4, augment=AugmentConfig(flip=1.0, crop=1.0, speed=(0.5, 0.5)))
    made = augment_dataset(dataset, config, unheard)
    copies = [record for record in made.records if is_copy(record)]
    sources = {record.group: record for record in dataset.records}
    assert len(copies) == 5
    pixels = set()
    for record in copies:
        source = sources[record.group]
        assert (record.label, record.split, record.path.parent) == (source.label, source.split, source.path.parent)
        clip = read_clip(record.path)
        assert clip.shape[1:] == (32, 32, 3) and len(clip) == 2 * source.filled - 1
        assert record.filled == 2 * source.filled
        pixels.add(clip.tobytes())
    assert len(pixels) == 5


def test_augment_takes_from_every_source_in_turn(dataset: Dataset) -> None:
    made = augment_dataset(dataset, OfflineConfig(8), unheard)
    taken = Counter(record.group for record in made.of(Split.TRAIN) if record.label == "Walking")
    assert taken == {"group-w1": 4, "group-w2": 4}


def test_augment_again_does_nothing_and_more_adds_new_ones(dataset: Dataset) -> None:
    first = augment_dataset(dataset, OfflineConfig(4), unheard)
    assert augment_dataset(first, OfflineConfig(4), unheard) == first
    more = augment_dataset(first, OfflineConfig(6), unheard)
    assert numbers(more, Split.TRAIN) == {"Walking": 6, "Standing": 6}
    assert more.records[: len(first.records)] == first.records
    assert len({record.path for record in more.records}) == len(more.records)


def test_augment_interrupted_goes_on_and_ends_as_an_unbroken_run(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        augment_dataset(dataset, OfflineConfig(5), stop)
    assert read_dataset(dataset.folder) == dataset
    before = {path: path.stat().st_mtime_ns for path in dataset.folder.rglob("*_aug-*")}
    assert len(before) == 2
    written: list[Path] = []

    def write(path: Path, *rest: Any) -> None:
        written.append(path)
        write_clip(path, *rest)

    monkeypatch.setattr(module, "write_clip", write)
    made = augment_dataset(dataset, OfflineConfig(5), unheard)
    assert len(written) == 5 and not set(written) & set(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert all(record.path.exists() for record in made.records)


def test_augment_same_seed_same_clips_another_seed_others(dataset: Dataset) -> None:
    def made(seed: int) -> dict[str, bytes]:
        done = augment_dataset(dataset, OfflineConfig(3, seed=seed), unheard)
        return {record.path.name: read_clip(record.path).tobytes() for record in done.records if is_copy(record)}

    first = made(0)
    for path in dataset.folder.rglob("*_aug-*"):
        path.unlink()
    assert made(0) == first
    assert not set(made(1)) & set(first) and not set(made(1).values()) & set(first.values())


@pytest.mark.parametrize("form", list(ClipFormat))
def test_augment_keeps_the_format(tmp_path: Path, form: ClipFormat) -> None:
    path = tmp_path / "clips" / clip_name("one.person", form)
    write_clip(path, street(9, 32), 25.0, form)
    records = (ClipRecord(path, "A", "g", Split.TRAIN, filled=9),)
    dataset = Dataset(tmp_path, DatasetInfo(class2label={"A": 0}), records)
    made = augment_dataset(dataset, OfflineConfig(2, augment=NO_AUGMENTATION), unheard)
    copy = made.records[1].path
    assert copy.is_dir() == path.is_dir()
    assert copy.name.startswith("one.person_aug-") and (path.is_dir() or copy.suffix == path.suffix)
    assert is_copy(made.records[1]) and not is_copy(made.records[0])
    assert np.abs(read_clip(copy).astype(int) - street(9, 32)).mean() < 5


def test_augment_class_without_a_clip_is_named_before_any_work(dataset: Dataset) -> None:
    poor = replace(dataset, records=dataset.of(Split.TRAIN)[:2])
    with pytest.raises(DatasetError, match="Standing in train, Standing in val, Walking in val"):
        augment_dataset(poor, OfflineConfig(3, (Split.TRAIN, Split.VAL)), unheard)
    assert not list(dataset.folder.rglob("*_aug-*"))


def test_augment_unreadable_clips_are_all_listed_when_the_others_are_copied(dataset: Dataset) -> None:
    for record in dataset.of(Split.TRAIN)[1:]:
        record.path.write_bytes(b"broken")
    with pytest.raises(DatasetError) as caught:
        augment_dataset(dataset, OfflineConfig(6), unheard)
    assert "2 clips" in str(caught.value) and "w2.mkv" in str(caught.value) and "s1.mkv" in str(caught.value)
    records = read_dataset(dataset.folder).records
    assert records[: len(dataset.records)] == dataset.records
    copies = records[len(dataset.records) :]
    assert copies and all(record.path.name.startswith("w1_aug-") for record in copies)


def test_augment_balanced_data_set_is_refused(dataset: Dataset) -> None:
    (dataset.folder / WHOLE_FILE).write_text("")
    with pytest.raises(DatasetError, match="balanced"):
        augment_dataset(dataset, OfflineConfig(3), unheard)


def test_config_senseless_numbers_are_refused() -> None:
    with pytest.raises(DatasetError, match="per_class >= 1"):
        OfflineConfig(0)
