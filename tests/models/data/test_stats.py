"""Statistics of a data set: numbers against hand-counted ones, plots that show them."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.data.stats import class_stats, stats_rows, write_stats
from models.data.stats_plots import write_plots


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    rows = [
        ("walk", "g1", Split.TRAIN, 0.0, 2.0, 50),
        ("walk", "g1", Split.TRAIN, 1.0, 2.0, 25),
        ("walk", "g2", Split.VAL, 0.0, 4.0, 100),
        ("run", "g3", Split.TRAIN, 0.0, 0.0, 75),  # no times: 75 crops of 25 a second
        ("", "g4", Split.NONE, 0.0, 1.0, 25),
    ]
    records = [
        ClipRecord(tmp_path / f"{number}.mp4", label, group, split, "v", 0, start, end, filled)
        for number, (label, group, split, start, end, filled) in enumerate(rows)
    ]
    info = DatasetInfo(class2label=class2label(["walk", "run", "fall"]))
    return Dataset(tmp_path, info, (*records, records[0]))  # one row twice, as a balanced manifest has it


def test_stats_rows_count_clips_groups_files_and_durations(data: Dataset) -> None:
    counts = ["train", "train groups", "val", "val groups", "undecided", "undecided groups"]
    assert stats_rows(class_stats(data)) == [
        ["class", *counts, "files", "total s", "shortest s", "median s", "longest s"],
        ["walk", "3", "1", "1", "1", "0", "0", "3", "9.00", "1.00", "2.00", "4.00"],
        ["run", "1", "1", "0", "0", "0", "0", "1", "3.00", "3.00", "3.00", "3.00"],
        ["fall", "0", "0", "0", "0", "0", "0", "0", "0.00", "0.00", "0.00", "0.00"],
        ["(no label)", "0", "0", "0", "0", "1", "1", "1", "1.00", "1.00", "1.00", "1.00"],
        ["all", "4", "2", "1", "1", "1", "1", "5", "13.00", "1.00", "2.00", "4.00"],
    ]


def test_write_stats_is_the_table(data: Dataset) -> None:
    rows = stats_rows(class_stats(data))
    with write_stats(data.folder, rows).open(newline="") as stream:
        assert list(csv.reader(stream)) == rows


def test_write_plots_bars_are_as_long_as_the_numbers(data: Dataset) -> None:
    files = write_plots(data, class_stats(data))
    assert [path.name for path in files] == ["clips.png", "groups.png", "durations.png"]
    assert sorted(path.name for path in (data.folder / "stats").iterdir()) == sorted(path.name for path in files)
    clips = cv2.imread(str(files[0]))
    assert clips is not None
    train = np.abs(clips.astype(int) - (0xAA, 0x77, 0x44)).max(axis=2) < 4  # BGR of train's colour
    lengths = train.sum(axis=1)
    rows = np.flatnonzero(np.diff((lengths > lengths.max() / 5).astype(int)) == 1) + 3
    assert len(rows) >= 2
    assert lengths[rows[0]] == pytest.approx(3 * lengths[rows[1]], rel=0.05)  # walk 3, run 1


def test_write_plots_many_classes_are_all_drawn(tmp_path: Path) -> None:
    labels = [f"class {number}" for number in range(120)]
    info = DatasetInfo(class2label=class2label(labels))
    records = tuple(ClipRecord(tmp_path / f"{label}.mp4", label, label, Split.TRAIN, filled=64) for label in labels)
    data = Dataset(tmp_path, info, records)
    files = write_plots(data, class_stats(data))
    picture = cv2.imread(str(files[0]))
    assert picture is not None and picture.shape[0] > 120 * 20
