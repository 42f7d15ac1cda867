"""``actoscope dataset extract | label | group | oversample | clips``: from own videos to a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.data.clip_file import read_clip
from models.data.manifest import Split, read_dataset
from models.data.tracks.labels_csv import read_labels
from models.errors import DatasetError
from tests.models.data.working_folder import write_mot
from tests.service.commands.command_line import typed
from tests.support.media import write_audio, write_video


def run(*words: object) -> int:
    return typed("dataset", *words, "--quiet")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, frames in (("a", 100), ("b", 40)):
        write_video(folder / f"{name}.mp4", frames)
        write_mot(tmp_path / "mot" / f"{name}.txt", {1: range(1, frames + 1)})
    (tmp_path / "actions.csv").write_text(
        "clip,track_id,start_frame,end_frame,label,source_group,split\n"
        "a,1,1,90,Walking,0,train\na,1,91,100,Unclear,0,train\nb,1,1,40,Standing,1,val\n"
    )
    return folder


def test_given_tracks_and_actions_become_a_data_set_of_whole_clips(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    assert run("extract", videos, "--work", work, "--tracks", tmp_path / "mot", "--size", 32, "--margin", 0.4) == 0
    assert "2 of 2 videos" in capsys.readouterr().out
    assert run("label", work, "--import", tmp_path / "actions.csv") == 0
    assert "3 rows imported, 3 taken" in capsys.readouterr().out
    assert len(list((work / "sheets").glob("*/*.png"))) == 2
    assert run("clips", work, "--whole", "--exclude", "Unclear", "--classes", "Walking,Standing") == 0
    out = capsys.readouterr().out
    assert "left out, excluded: Unclear: 1" in out and "2 clips" in out
    data = read_dataset(work / "dataset")
    assert (data.labels, data.info.input.margin, data.info.input.height) == (("Walking", "Standing"), 0.4, 32)
    assert [(item.label, item.group, item.split, item.filled) for item in data.records] == [
        ("Walking", "0", Split.TRAIN, 90),
        ("Standing", "1", Split.VAL, 40),
    ]


def test_hand_sorted_examples_become_a_data_set(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    run("extract", videos, "--work", work, "--tracks", tmp_path / "mot", "--size", 32)
    assert run("group", work) == 0
    assert run("oversample", work) == 0
    assert "examples  extended" in capsys.readouterr().out
    for name, label in (("a_00001_000001-000064", "Walking"), ("b_00001_000001-000040", "Standing")):
        (work / "examples" / label).mkdir()
        (work / "examples" / name).rename(work / "examples" / label / name)
    assert run("clips", work) == 0
    printed = capsys.readouterr()
    assert "clips are made from" in printed.out and "left out, no label: 1" in printed.out
    assert "no split yet" in printed.err
    data = read_dataset(work / "dataset")
    assert {item.label: (item.group, item.filled) for item in data.records} == {
        "Walking": ("a", 64),
        "Standing": ("b", 40),
    }
    assert {len(read_clip(item.path)) for item in data.records} == {64}


def test_cvat_file_gives_tracks_and_actions(tmp_path: Path, videos: Path) -> None:
    box = (
        '<box frame="{}" outside="0" xtl="40" ytl="20" xbr="70" ybr="80"><attribute name="action">{}</attribute></box>'
    )
    boxes = "".join(box.format(frame, action) for frame, action in ((0, "Walking"), (30, "Fighting"), (79, "Fighting")))
    (tmp_path / "a.xml").write_text(f'<annotations><track id="0" label="person">{boxes}</track></annotations>')
    work = tmp_path / "work"
    assert run("extract", videos / "a.mp4", "--work", work, "--tracks", tmp_path / "a.xml", "--size", 32) == 0
    assert run("label", work, "--import", tmp_path / "a.xml") == 0
    assert run("clips", work, "--format", "jpeg") == 0
    records = read_dataset(work / "dataset").records
    assert [(item.label, item.track_id, item.filled, item.path.is_dir()) for item in records] == [
        ("Walking", 1, 30, True),
        ("Fighting", 1, 50, True),
    ]


def test_label_without_import_waits_for_a_person(tmp_path: Path, videos: Path) -> None:
    work = tmp_path / "work"
    run("extract", videos, "--work", work, "--tracks", tmp_path / "mot", "--size", 32)
    assert run("label", work, "--pictures", 0, "--every", 2) == 0
    assert not (work / "sheets").exists()
    rows = read_labels(work / "labels.csv")
    assert [(row.clip, row.start, row.label) for row in rows] == [("a", 1, ""), ("a", 51, ""), ("b", 1, "")]
    with pytest.raises(DatasetError, match="no labelled example"):
        run("clips", work)


def test_extract_of_a_file_without_pictures_fails_after_the_others(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audio(videos / "sound.mp4")
    write_mot(tmp_path / "mot" / "sound.txt", {})
    assert run("extract", videos, "--work", tmp_path / "work", "--tracks", tmp_path / "mot", "--size", 32) == 1
    assert "1 failed" in capsys.readouterr().out


def test_steps_before_extract_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="dataset extract"):
        run("label", tmp_path)
    with pytest.raises(DatasetError, match="dataset extract"):
        run("group", tmp_path)
    with pytest.raises(DatasetError, match="`actoscope dataset group` makes it"):
        run("oversample", tmp_path)


def test_label_with_context_shows_the_scene_of_the_rows_that_are_asked_for(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    run("extract", videos, "--work", work, "--tracks", tmp_path / "mot", "--size", 32)
    assert run("label", work, "--import", tmp_path / "actions.csv", "--context", "--animate", "--of", "Unclear") == 0
    assert [path.name for path in (work / "context").glob("*/*.png")] == ["00001_000091-000100.png"]
    assert [path.name for path in (work / "context").glob("*/*.gif")] == ["00001_000091-000100.gif"]
    assert not (work / "sheets").exists()
    (videos / "b.mp4").unlink()
    assert run("label", work, "--context") == 1
    assert "there is no file" in capsys.readouterr().err
    assert len(list((work / "context").glob("a/*.png"))) == 2


def test_label_of_shows_rows_with_a_label_only(tmp_path: Path, videos: Path) -> None:
    work = tmp_path / "work"
    run("extract", videos, "--work", work, "--tracks", tmp_path / "mot", "--size", 32)
    assert run("label", work, "--import", tmp_path / "actions.csv", "--of", "Standing") == 0
    assert [path.name for path in (work / "sheets").glob("*/*.png")] == ["00001_000001-000040.png"]
