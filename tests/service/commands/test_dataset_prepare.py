"""``actoscope dataset prepare | split | balance | stats | duplicates``, from videos to a split data set."""

import argparse
from collections import Counter
from pathlib import Path

import pytest

from models.data.clip_file import read_clip
from models.data.manifest import Split, read_dataset
from models.errors import DatasetError
from service.commands import dataset_prepare as cli_dataset_prepare
from tests.models.data.trees import write_broken, write_video

SMALL = ("--size", "32", "--quiet")


def actoscope(*arguments: object) -> int:
    """Run ``dataset …`` as the command line does. → exit status."""
    parser = argparse.ArgumentParser()
    cli_dataset_prepare.add(parser.add_subparsers(required=True))
    parsed = parser.parse_args([str(argument) for argument in arguments])
    return int(parsed.run(parsed))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Class folders: three cameras of two clips for each of two classes, and one broken file."""
    root = tmp_path / "videos"
    for number in range(12):
        label, camera, clip = ("run", "walk")[number // 6], number // 2, number % 2
        write_video(root / label / f"cam{camera}_{clip}.mp4", 12, seed=number)
    write_broken(root / "walk" / "cam9_0.avi")
    return root


@pytest.fixture
def data(tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "data"
    assert actoscope("prepare", "folders", videos, "--output", folder, "--group-pattern", r"cam\d", *SMALL) == 0
    return folder


def test_prepare_folders_shows_table_and_what_was_left_out(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    arguments = ("prepare", "folders", videos, "--output", folder, "--description", "own videos", *SMALL)
    assert actoscope(*arguments) == 0
    out = capsys.readouterr().out
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
    assert actoscope(*command, "--format", "jpeg", *SMALL) == 0
    out = capsys.readouterr().out
    assert "classes without a clip, not in the data set: Diving" in out
    (record,) = read_dataset(folder).records
    assert (record.split, record.path.is_dir()) == (Split.TRAIN, True)


def test_prepare_ucf_sports_by_command_leaves_out_short_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "ucf" / "Kicking-Side" / "001" / "a.avi", 26)
    write_video(tmp_path / "ucf" / "Kicking-Front" / "001" / "a.avi", 20)
    assert actoscope("prepare", "ucf-sports", tmp_path / "ucf", "--output", tmp_path / "data", *SMALL) == 0
    assert "Kicking-Front/001/a.avi: it is 0.80 s long, under 1 s" in capsys.readouterr().out
    assert [record.path.name for record in read_dataset(tmp_path / "data").records] == ["Kicking-Side-001.mp4"]


def test_prepare_kinetics_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "clips" / "tai_chi" / "abc_000005_000015.mp4", 12)
    rows = "tai chi,abc,5,15,validate\ntai chi,gone,5,15,train\n"
    (tmp_path / "val.csv").write_text(f"label,youtube_id,time_start,time_end,split\n{rows}")
    command = ("prepare", "kinetics", tmp_path / "clips", "--csv", tmp_path / "val.csv", "--output", tmp_path / "data")
    assert actoscope(*command, *SMALL) == 0
    assert "gone_000005_000015.mp4 (tai chi): it is not there" in capsys.readouterr().out
    (record,) = read_dataset(tmp_path / "data").records
    assert (record.label, record.group, record.split) == ("tai chi", "abc", Split.VAL)


def test_split_writes_splits_and_reports_near_duplicates(
    data: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = read_dataset(data).records[0]
    write_video(videos / "walk" / "cam7_0.mp4", 12, seed=0)  # the same scene as run/cam0_0
    actoscope("prepare", "folders", videos, "--output", data, "--group-pattern", r"cam\d", *SMALL)
    assert actoscope("split", data, "--train", 0.5, "--val", 0.5, "--test", 0, "--quiet") == 0
    records = read_dataset(data).records
    assert Counter(record.split for record in records)[Split.VAL] in (5, 6, 7, 8)  # groups of two
    assert len({(record.group, record.split) for record in records}) == len({record.group for record in records})
    splits = {
        record.path.stem: record.split for record in records if record.label == "walk" or record.path == copy.path
    }
    out = capsys.readouterr().out
    expected = 1 if splits["cam7_0"] is not splits[copy.path.stem] else 0
    assert f"near-duplicates in different splits: {expected} pairs" in out
    assert actoscope("duplicates", data, "--groups", "--quiet") == 0
    out = capsys.readouterr().out
    assert "near-duplicates in different groups: 1 pairs" in out
    assert "clips/run/cam0_0.mp4" in out
    assert "clips/walk/cam7_0.mp4" in out


def test_split_folds_and_check(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = []
    for fold in (1, 2, 3):
        assert actoscope("split", data, "--folds", 3, "--fold", fold, "--no-duplicates") == 0
        held += [record.path for record in read_dataset(data).of(Split.VAL)]
    assert sorted(held) == sorted(record.path for record in read_dataset(data).records)
    before = (data / "manifest.csv").read_text()
    assert actoscope("split", data, "--check", "--quiet") == 0
    assert (data / "manifest.csv").read_text() == before
    (data / "manifest.csv").write_text(before.replace(",train,", ",val,", 1))
    with pytest.raises(DatasetError, match="in train and val"):
        actoscope("split", data, "--check", "--quiet")
    with pytest.raises(DatasetError, match="--folds and --fold together"):
        actoscope("split", data, "--folds", 3)


def test_balance_and_back(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    actoscope("split", data, "--train", 1, "--val", 0, "--test", 0, "--no-duplicates")
    before = (data / "manifest.csv").read_text()
    assert actoscope("balance", data, "--target", 9) == 0
    assert Counter(record.label for record in read_dataset(data).records) == {"run": 9, "walk": 9}
    with pytest.raises(DatasetError, match="--undo"):
        actoscope("split", data)
    assert actoscope("balance", data, "--target", "max", "--only-under") == 0
    assert actoscope("balance", data, "--undo") == 0
    assert (data / "manifest.csv").read_text() == before


@pytest.mark.parametrize("target", ["0", "many", "-3"])
def test_balance_senseless_target_is_a_usage_error(data: Path, target: str) -> None:
    with pytest.raises(SystemExit) as caught:
        actoscope("balance", data, "--target", target)
    assert caught.value.code == 2


def test_stats_shows_table_and_writes_plots(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert actoscope("stats", data) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["class", "undecided"]
    assert lines[-2].split()[:4] == ["all", "12", "6", "12"]
    assert {path.name for path in (data / "stats").iterdir()} == {
        "stats.csv",
        "clips.png",
        "groups.png",
        "durations.png",
    }


def test_prepare_per_person_with_given_tracks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "videos" / "walk" / "v.mp4", 20)
    (tmp_path / "tracks").mkdir()
    lines = [f"{frame},1,4,4,16,30,1,1,1" for frame in range(1, 21)]
    (tmp_path / "tracks" / "v.txt").write_text("\n".join(lines))
    command = ("prepare", "folders", tmp_path / "videos", "--output", tmp_path / "data", "--per-person")
    assert actoscope(*command, "--tracks", tmp_path / "tracks", "--margin", 0.4, *SMALL) == 0
    data = read_dataset(tmp_path / "data")
    assert [(record.track_id, record.filled) for record in data.records] == [(1, 20)]
    assert data.info.input.margin == 0.4
