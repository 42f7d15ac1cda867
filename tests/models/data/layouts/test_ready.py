from __future__ import annotations

from pathlib import Path

import pytest

from models.data.layouts.ready import make_ready
from models.data.manifest import Split, read_dataset
from models.errors import DatasetError
from tests.models.data.trees import write_video


def silent(done: int, total: int) -> None:
    """Progress for nobody."""


def sports(root: Path) -> Path:
    """A miniature of UCF Sports: two views that are one class, one class by itself, one video too short."""
    for number in range(1, 4):
        for seed, view in enumerate(("Kicking-Front", "Kicking-Side", "Lifting")):
            write_video(root / view / f"{number:03d}" / f"{number}{seed}00-1_70000.avi", 26, seed=10 * number + seed)
    write_video(root / "Lifting" / "004" / "short.avi", 20)
    return root


def test_ucf_sports_becomes_a_data_set_with_every_class_in_every_split(tmp_path: Path) -> None:
    done = make_ready("ucf-sports", sports(tmp_path / "ucf"), tmp_path / "data", 32, silent)
    assert done.dataset.labels == ("Kicking", "Lifting")
    assert [(item.what, item.reason) for item in done.left_out] == [
        ("Lifting/004/short.avi", "it is 0.80 s long, under 1 s")
    ]
    assert read_dataset(tmp_path / "data").records == done.dataset.records
    for split in (Split.TRAIN, Split.VAL, Split.TEST):
        assert {record.label for record in done.dataset.of(split)} == {"Kicking", "Lifting"}


def test_splits_that_a_layout_has_stay_and_a_second_run_keeps_its_own(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_video(tmp_path / "videos" / split / "walk" / f"{split}.mp4", 12)
    done = make_ready("folders", tmp_path / "videos", tmp_path / "data", 32, silent)
    assert [record.split for record in done.dataset.records] == [Split.TRAIN, Split.VAL]
    first = make_ready("ucf-sports", sports(tmp_path / "ucf"), tmp_path / "sports", 32, silent)
    assert make_ready("ucf-sports", tmp_path / "ucf", tmp_path / "sports", 32, silent).dataset == first.dataset


def test_folder_without_videos_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty"):
        make_ready("ucf-sports", tmp_path / "empty", tmp_path / "data", 32, silent)
