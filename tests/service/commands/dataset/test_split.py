from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from models.data.manifest import Split, read_dataset
from models.errors import DatasetError
from tests.models.data.trees import write_video
from tests.service.commands.command_line import typed
from tests.service.commands.dataset.conftest import SMALL


def test_split_writes_splits_and_reports_near_duplicates(
    data: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = read_dataset(data).records[0]
    write_video(videos / "walk" / "cam7_0.mp4", 12, seed=0)  # the same scene as run/cam0_0
    typed("dataset", "prepare", "folders", videos, "--output", data, "--group-pattern", r"cam\d", *SMALL)
    assert typed("dataset", "split", data, "--train", 0.5, "--val", 0.5, "--test", 0, "--quiet") == 0
    records = read_dataset(data).records
    assert Counter(record.split for record in records)[Split.VAL] in (5, 6, 7, 8)  # groups of two
    assert len({(record.group, record.split) for record in records}) == len({record.group for record in records})
    splits = {
        record.path.stem: record.split for record in records if record.label == "walk" or record.path == copy.path
    }
    out = capsys.readouterr().out
    expected = 1 if splits["cam7_0"] is not splits[copy.path.stem] else 0
    assert f"near-duplicates in different splits: {expected} pairs" in out
    assert typed("dataset", "duplicates", data, "--groups", "--quiet") == 0
    out = capsys.readouterr().out
    assert "near-duplicates in different groups: 1 pairs" in out
    assert "clips/run/cam0_0.mp4" in out
    assert "clips/walk/cam7_0.mp4" in out


def test_split_folds_and_check(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = []
    for fold in (1, 2, 3):
        assert typed("dataset", "split", data, "--folds", 3, "--fold", fold, "--no-duplicates") == 0
        held += [record.path for record in read_dataset(data).of(Split.VAL)]
    assert sorted(held) == sorted(record.path for record in read_dataset(data).records)
    before = (data / "manifest.csv").read_text()
    assert typed("dataset", "split", data, "--check", "--quiet") == 0
    assert (data / "manifest.csv").read_text() == before
    (data / "manifest.csv").write_text(before.replace(",train,", ",val,", 1))
    with pytest.raises(DatasetError, match="in train and val"):
        typed("dataset", "split", data, "--check", "--quiet")
    with pytest.raises(DatasetError, match="--folds and --fold together"):
        typed("dataset", "split", data, "--folds", 3)


def test_split_without_what_finds_duplicates_says_so_before_it_writes(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (data / "manifest.csv").read_text()
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(DatasetError, match=r"needs the package imagehash: pip install .* or --no-duplicates"):
        typed("dataset", "split", data)
    assert (data / "manifest.csv").read_text() == before
    assert typed("dataset", "split", data, "--no-duplicates") == 0
    assert (data / "manifest.csv").read_text() != before
