"""One bad file of many: it is told of, the others are done, and the exit status is 1."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.data.manifest import read_dataset
from models.data.tracks.extract import find_videos
from models.data.tracks.labels_csv import read_labels
from models.errors import DatasetError
from tests.models.data.working_folder import write_mot
from tests.service.commands.command_line import typed
from tests.support.media import write_video


def run(*words: object) -> int:
    return typed("dataset", *words, "--quiet")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in "ab":
        write_video(folder / f"{name}.mp4", 20)
        write_mot(tmp_path / "mot" / f"{name}.txt", {1: range(1, 21)})
    return folder


@pytest.fixture
def work(tmp_path: Path, videos: Path) -> Path:
    assert run("extract", videos, "--work", tmp_path / "work", "--tracks", tmp_path / "mot", "--size", 32) == 0
    return tmp_path / "work"


def add_bad_ones(folder: Path) -> None:
    (folder / "dead.mp4").symlink_to("nowhere.mp4")
    (folder / "folder.mp4").mkdir()
    (folder / "back").symlink_to(folder)  # leads round
    (folder / "noise.mp4").write_bytes(b"no video at all")
    (folder / "empty.mp4").touch()
    os.mkfifo(folder / "pipe.mp4")  # whoever opens it waits for ever


def test_extract_goes_on_over_what_is_no_video(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_bad_ones(videos)
    for name in ("noise", "empty"):
        write_mot(tmp_path / "mot" / f"{name}.txt", {})
    missing = videos / "gone.mp4"
    assert run("extract", videos, missing, "--work", tmp_path / "work", "--tracks", tmp_path / "mot", "--size", 32) == 1
    printed = capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "work" / "tracks").iterdir()) == ["a", "b"]
    told = printed.err.splitlines()
    assert told[0] == "actoscope: not extracted: 5"
    for part in ("dead.mp4: a link to nowhere.mp4", "pipe.mp4: it is no file", "gone.mp4: there is no such file"):
        assert any(part in line for line in told), printed.err
    assert any(line.startswith("  noise: ") for line in told) and any(line.startswith("  empty: ") for line in told)


def test_extract_goes_on_over_tracks_that_are_missing_or_bad(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(videos / "c.mp4", 4)
    (tmp_path / "mot" / "b.txt").write_text("1,1,x\n")
    assert run("extract", videos, "--work", tmp_path / "work", "--tracks", tmp_path / "mot", "--size", 32) == 1
    assert [path.name for path in (tmp_path / "work" / "tracks").iterdir()] == ["a"]
    told = capsys.readouterr().err
    assert "b.txt:1: could not convert" in told and "no tracks for" in told


def test_extract_video_that_vanishes_meanwhile_is_told(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found_and_gone(*where: object) -> object:
        found = find_videos(*where)  # type: ignore[arg-type]
        (videos / "a.mp4").unlink()
        return found

    monkeypatch.setattr("service.commands.dataset.extract.find_videos", found_and_gone)
    assert run("extract", videos, "--work", tmp_path / "work", "--tracks", tmp_path / "mot", "--size", 32) == 1
    assert [path.name for path in (tmp_path / "work" / "tracks").iterdir()] == ["b"]
    assert "actoscope: not extracted: 1\n  a: " in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_extract_goes_on_over_what_may_not_be_read(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (videos / "a.mp4").chmod(0)
    assert run("extract", videos, "--work", tmp_path / "work", "--tracks", tmp_path / "mot", "--size", 32) == 1
    assert [path.name for path in (tmp_path / "work" / "tracks").iterdir()] == ["b"]
    assert "ermission" in capsys.readouterr().err


def test_prepare_goes_on_and_tells(tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "classes"
    root.mkdir()
    videos.rename(root / "walk")
    add_bad_ones(root / "walk")
    assert run("prepare", "folders", root, "--output", tmp_path / "data", "--size", 32) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines()[0] == "actoscope: cannot be read: 4"
    assert "walk/dead.mp4: it is not there, or no file" in printed.err
    assert {record.path.stem for record in read_dataset(tmp_path / "data").records} == {"a", "b"}


def test_prepare_what_is_only_too_short_is_no_failure(tmp_path: Path, videos: Path) -> None:
    (tmp_path / "classes").mkdir()
    videos.rename(tmp_path / "classes" / "walk")
    write_video(tmp_path / "classes" / "walk" / "short.mp4", 2)
    command = ("prepare", "folders", tmp_path / "classes", "--output", tmp_path / "data", "--size", 32)
    assert run(*command, "--min-seconds", 0.5) == 0


def test_label_takes_the_files_that_can_be_read(tmp_path: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.csv").write_text("clip,track,label\na,1,Walking\n")
    (tmp_path / "bad.xml").write_text("<annotation/>")
    assert run("label", work, "--import", tmp_path / "bad.xml", tmp_path / "none.csv", tmp_path / "good.csv") == 1
    printed = capsys.readouterr()
    assert "1 rows imported, 1 taken" in printed.out
    assert "cannot be read: 2" in printed.err and "bad.xml is PASCAL VOC" in printed.err and "none.csv" in printed.err
    assert [row.label for row in read_labels(work / "labels.csv") if row.label] == ["Walking"]


def test_every_step_after_extract_goes_on_over_damaged_crops(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "tracks" / "a" / "00001" / "000001.jpg").write_bytes(b"damaged")
    assert run("label", work) == 1
    assert len(list((work / "sheets").glob("*/*.png"))) == 1
    table = (work / "labels.csv").read_text()
    (work / "labels.csv").write_text(table.replace(",,", ",Walking,"))
    capsys.readouterr()
    assert run("clips", work, "--output", work / "data", "--whole") == 1
    printed = capsys.readouterr()
    assert "actoscope: cannot be read: 1" in printed.err and "000001.jpg" in printed.err
    assert [record.video for record in read_dataset(work / "data").records] == ["b"]
    (work / "tracks" / "b" / "manifest.csv").write_text("none of it")
    assert run("group", work) == 1
    assert "b/manifest.csv lacks the columns" in capsys.readouterr().err
    (example,) = (path for path in (work / "examples").iterdir() if path.is_dir())
    for picture in example.iterdir():
        picture.unlink()
    assert run("oversample", work) == 1
    assert "holds no picture" in capsys.readouterr().err


def test_duplicates_goes_on_over_a_damaged_clip(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "classes"
    root.mkdir()
    videos.rename(root / "walk")
    write_video(root / "walk" / "c.mp4", 20)
    assert run("prepare", "folders", root, "--output", tmp_path / "data", "--size", 32) == 0
    (tmp_path / "data" / "clips" / "walk" / "a.mp4").write_bytes(b"damaged")
    capsys.readouterr()
    assert run("duplicates", tmp_path / "data", "--groups") == 1
    printed = capsys.readouterr()
    assert "near-duplicates in different groups: 1 pairs" in printed.out
    assert "actoscope: cannot be read: 1" in printed.err and "a.mp4" in printed.err


def test_clips_and_group_leave_alone_what_cannot_be_read_for_a_while(
    tmp_path: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "actions.csv").write_text("clip,track,label,split\na,1,Walking,train\nb,1,Standing,val\n")
    assert run("label", work, "--import", tmp_path / "actions.csv") == 0
    assert (run("group", work), run("clips", work, "--from", "tracks")) == (0, 0)
    before = read_dataset(work / "dataset").records
    manifest = work / "tracks" / "a" / "manifest.csv"
    text = manifest.read_text()
    manifest.write_bytes(b"\xff\xfe\xfd")
    assert (run("group", work), run("clips", work, "--from", "tracks")) == (1, 1)
    assert {row.path for row in read_dataset(work / "dataset").records} == {row.path for row in before}
    assert all(row.path.exists() for row in before)
    assert len(list((work / "examples").glob("a_*"))) == 1
    manifest.write_text(text)
    assert run("clips", work, "--from", "tracks") == 0
    assert read_dataset(work / "dataset").records == before


def test_clips_tells_what_failed_where_a_later_step_ends_it(
    tmp_path: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "tracks" / "a" / "manifest.csv").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(DatasetError, match="no labels"):
        run("clips", work, "--from", "tracks")
    assert "manifest.csv cannot be read" in capsys.readouterr().err


def test_clips_of_examples_that_cannot_be_read_says_so(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("group", work) == 0
    (work / "examples" / "Walking").mkdir()
    for path in list((work / "examples").glob("?_*")):
        for picture in path.iterdir():
            picture.unlink()
        path.rename(work / "examples" / "Walking" / path.name)
    capsys.readouterr()
    with pytest.raises(DatasetError, match="holds no picture"):
        run("clips", work)
    assert "holds no picture" not in capsys.readouterr().err  # the error itself tells


def test_label_tells_the_files_that_failed_where_a_later_step_ends_it(
    tmp_path: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.csv").write_text("clip,track,label\na,1,Walking\n")
    (tmp_path / "bad.csv").write_text("clip,track,label\na,one,Walking\n")
    with pytest.raises(DatasetError, match="pieces longer than 0 s"):
        run("label", work, "--import", tmp_path / "good.csv", tmp_path / "bad.csv", "--every", -1)
    assert "bad.csv:2" in capsys.readouterr().err
