"""dataset.json and manifest.csv: what is written is read back, and what is wrong is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.data.manifest import (
    ClipRecord,
    Dataset,
    DatasetInfo,
    Split,
    class2label,
    read_dataset,
    write_dataset,
)
from models.errors import DatasetError
from models.weights.cards import ModelInput


def dataset(folder: Path) -> Dataset:
    info = DatasetInfo(class2label={"Walking": 1, "Fighting": 0}, input=ModelInput(margin=0.4), description="a test")
    records = (
        ClipRecord(folder / "clips" / "a, b.mkv", "Walking", "g1", Split.TRAIN, "a.mp4", 7, 0.5, 2.125, 41),
        ClipRecord(folder / "clips" / "c.mkv", "", "g2"),
    )
    return Dataset(folder, info, records)


def test_data_set_written_and_read_is_the_same(tmp_path: Path) -> None:
    written = dataset(tmp_path)
    write_dataset(written)
    found = read_dataset(tmp_path)
    assert found == written
    assert found.labels == ("Fighting", "Walking")  # by index, whatever order the file has
    assert found.targets(found.of(Split.TRAIN)) == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset.json", "manifest.csv"]


def test_clip_outside_the_folder_is_refused(tmp_path: Path) -> None:
    foreign = Dataset(tmp_path / "set", dataset(tmp_path).info, (ClipRecord(tmp_path / "c.mkv", "", "g"),))
    with pytest.raises(DatasetError, match="does not lie in the data set's folder"):
        write_dataset(foreign)


@pytest.mark.parametrize("numbers", [{"a": 0, "b": 2}, {"a": 0, "b": 0}, {"a": 1}])
def test_class_numbers_with_a_gap_are_refused(numbers: dict[str, int], tmp_path: Path) -> None:
    write_dataset(dataset(tmp_path))
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "class2label": numbers}))
    with pytest.raises(DatasetError, match="must number the classes"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Walking", "Running", "labels that dataset.json does not: Running"),
        ("train", "trained", r"manifest\.csv:2: expected the split train, val or test, got 'trained'"),
        ("2.125", "two", r"manifest\.csv:2: column end_s: expected a number, got 'two'"),
        ("2.125", "inf", r"manifest\.csv:2: column end_s: expected a number, got 'inf'"),
        ("clips/c.mkv", "", r"manifest\.csv:3: path is empty"),
        ("path,label", "file,label", "lacks the columns path"),
    ],
)
def test_manifest_with_a_mistake_is_refused_with_its_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    write_dataset(dataset(tmp_path))
    path = tmp_path / "manifest.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=message):
        read_dataset(tmp_path)


def test_manifest_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    written = dataset(tmp_path)
    write_dataset(written)
    path = tmp_path / "manifest.csv"
    text = path.read_text().replace("\n", "\r\n").replace("Walking", "walking ")
    path.write_bytes(f"sep=,\r\n{text},,,\r\n".encode("utf-16"))
    assert read_dataset(tmp_path).records == written.records


def test_folder_without_a_data_set_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no data set"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("names", [["a", "b", "a"], ["a", " "]])
def test_class_names_are_unique_and_not_empty(names: list[str]) -> None:
    with pytest.raises(DatasetError, match="unique and not empty"):
        class2label(names)
    assert class2label(["b", "a"]) == {"b": 0, "a": 1}


def test_names_with_blanks_around_are_read_as_they_were_written(tmp_path: Path) -> None:
    blank = ClipRecord(tmp_path / "clips" / " take 1.mkv", "Walking", " g ", Split.TRAIN, " take 1.mp4")
    written = replace(dataset(tmp_path), records=(blank,))
    write_dataset(written)
    assert read_dataset(tmp_path) == written


def test_row_that_ends_early_says_what_is_empty(tmp_path: Path) -> None:
    write_dataset(dataset(tmp_path))
    (tmp_path / "manifest.csv").write_text("label,group,split,path\nWalking,g\n")
    with pytest.raises(DatasetError, match=r"manifest\.csv:2: path is empty"):
        read_dataset(tmp_path)


def test_label_that_nobody_sees_is_none(tmp_path: Path) -> None:
    write_dataset(dataset(tmp_path))
    path = tmp_path / "manifest.csv"
    path.write_text(path.read_text("utf-8").replace("Walking", "\u200b"), "utf-8")
    assert [record.label for record in read_dataset(tmp_path).records] == ["", ""]
