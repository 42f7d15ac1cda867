"""``actoscope dataset prepare``, of every layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.data.clip_file import read_clip
from models.data.manifest import Split, read_dataset
from tests.models.data.trees import write_video
from tests.service.commands.command_line import typed
from tests.service.commands.dataset.conftest import SMALL


def test_prepare_folders_shows_table_and_what_was_left_out(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    arguments = ("prepare", "folders", videos, "--output", folder, "--description", "own videos", *SMALL)
    assert typed("dataset", *arguments) == 1
    out, err = capsys.readouterr()
    assert "actoscope: cannot be read: 1\n  walk/cam9_0.avi: it cannot be decoded" in err
    assert "left out: 1" in out
    assert "walk/cam9_0.avi: it cannot be decoded" in out
    assert f"12 clips, 2 classes → {folder}" in out
    data = read_dataset(folder)
    assert len(data.records) == 12
    assert data.info.description == "own videos"
    assert read_clip(data.records[0].path).shape == (12, 32, 32, 3)


def test_prepare_ucf101_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "UCF-101" / "Archery" / "v_Archery_g08_c01.avi", 12)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "classInd.txt").write_text("1 Archery\n2 Diving\n")
    (tmp_path / "lists" / "trainlist02.txt").write_text("Archery/v_Archery_g08_c01.avi 1\n")
    (tmp_path / "lists" / "testlist02.txt").write_text("Diving/v_Diving_g01_c01.avi\n")
    folder = tmp_path / "data"
    command = (
        "prepare",
        "ucf101",
        tmp_path / "UCF-101",
        "--lists",
        tmp_path / "lists",
        "--fold",
        2,
        "--output",
        folder,
    )
    assert typed("dataset", *command, "--format", "jpeg", *SMALL) == 0
    out = capsys.readouterr().out
    assert "classes without a clip, not in the data set: Diving" in out
    (record,) = read_dataset(folder).records
    assert (record.split, record.path.is_dir()) == (Split.TRAIN, True)


def test_prepare_ucf_sports_by_command_leaves_out_short_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "ucf" / "Kicking-Side" / "001" / "a.avi", 26)
    write_video(tmp_path / "ucf" / "Kicking-Front" / "001" / "a.avi", 20)
    assert typed("dataset", "prepare", "ucf-sports", tmp_path / "ucf", "--output", tmp_path / "data", *SMALL) == 0
    assert "Kicking-Front/001/a.avi: it is 0.80 s long, under 1 s" in capsys.readouterr().out
    assert [record.path.name for record in read_dataset(tmp_path / "data").records] == ["Kicking-Side-001.mp4"]


def test_prepare_kinetics_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "clips" / "tai_chi" / "abc_000005_000015.mp4", 12)
    rows = "tai chi,abc,5,15,validate\ntai chi,gone,5,15,train\n"
    (tmp_path / "val.csv").write_text(f"label,youtube_id,time_start,time_end,split\n{rows}")
    command = ("prepare", "kinetics", tmp_path / "clips", "--csv", tmp_path / "val.csv", "--output", tmp_path / "data")
    assert typed("dataset", *command, *SMALL) == 0
    assert "gone_000005_000015.mp4 (tai chi): it is not there" in capsys.readouterr().out
    (record,) = read_dataset(tmp_path / "data").records
    assert (record.label, record.group, record.split) == ("tai chi", "abc", Split.VAL)


def test_prepare_per_person_with_given_tracks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "videos" / "walk" / "v.mp4", 20)
    (tmp_path / "tracks").mkdir()
    lines = [f"{frame},1,4,4,16,30,1,1,1" for frame in range(1, 21)]
    (tmp_path / "tracks" / "v.txt").write_text("\n".join(lines))
    command = ("prepare", "folders", tmp_path / "videos", "--output", tmp_path / "data", "--per-person")
    assert typed("dataset", *command, "--tracks", tmp_path / "tracks", "--margin", 0.4, *SMALL) == 0
    data = read_dataset(tmp_path / "data")
    assert [(record.track_id, record.filled) for record in data.records] == [(1, 20)]
    assert data.info.input.margin == 0.4


def test_prepare_gives_classes_without_letters_a_folder_each(tmp_path: Path) -> None:
    for label in ("🥊", "🤸"):
        write_video(tmp_path / "videos" / label / "v.mp4", 12)
    for _ in range(2):
        assert typed("dataset", "prepare", "folders", tmp_path / "videos", "--output", tmp_path / "data", *SMALL) == 0
        records = read_dataset(tmp_path / "data").records
        assert {record.label: record.path.parent.name for record in records} == {"🤸": "_", "🥊": "_-2"}


def test_prepare_class_folders_that_differ_in_case_are_one_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in ("train/Walking", "train/Standing", "val/walking"):
        write_video(tmp_path / "videos" / folder / "v.mp4", 12)
    assert typed("dataset", "prepare", "folders", tmp_path / "videos", "--output", tmp_path / "data", *SMALL) == 0
    assert read_dataset(tmp_path / "data").labels == ("Standing", "Walking")
    assert "'Walking' is also written 'walking'" in caplog.text
