from __future__ import annotations

from pathlib import Path

import pytest

from models.data.manifest import Dataset, DatasetInfo, Split, read_dataset, write_dataset
from models.errors import DatasetError
from tests.models.data.footage import record_of, street
from tests.service.commands.command_line import typed


def run(*words: str) -> int:
    return typed("dataset", "augment", *words)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    splits = {"a": Split.TRAIN, "b": Split.TRAIN, "c": Split.VAL}
    records = tuple(record_of(tmp_path, street(9, 32), name, "Walking", split) for name, split in splits.items())
    write_dataset(Dataset(tmp_path, DatasetInfo(class2label={"Walking": 0}), records))
    return tmp_path


def test_augment_writes_copies_and_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(folder), "--per-class", "5", "--seed", "2", "--low-light", "1", "--speed", "1", "1", "--quiet") == 0
    dataset = read_dataset(folder)
    assert (len(dataset.of(Split.TRAIN)), len(dataset.of(Split.VAL))) == (5, 1)
    lines = capsys.readouterr().out.splitlines()
    assert ["train", "Walking", "2", "3", "5"] in [line.split() for line in lines]
    assert lines[-1] == f"3 clips written → {folder}"


def test_augment_of_named_splits(folder: Path) -> None:
    assert run(str(folder), "--per-class", "2", "--splits", "val", "--quiet") == 0
    assert len(read_dataset(folder).of(Split.VAL)) == 2


def test_augment_wrong_probability_is_one_clear_error(folder: Path) -> None:
    with pytest.raises(DatasetError, match="blur must be 0 to 1, got 2"):
        run(str(folder), "--per-class", "3", "--blur", "2")
    assert len(read_dataset(folder).records) == 3


def test_augment_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no data set"):
        run(str(tmp_path), "--per-class", "3")
