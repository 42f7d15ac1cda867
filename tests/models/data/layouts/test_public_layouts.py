"""The public layouts: what each reads from a tree, what it leaves out, and what it refuses."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from models.data.layouts.folders import Grouping, read_folders
from models.data.layouts.kinetics import read_kinetics
from models.data.layouts.prepare import PrepareConfig, prepare
from models.data.layouts.ucf101 import read_ucf101
from models.data.layouts.ucf_sports import read_ucf_sports
from models.data.layouts.whole_frame import WholeFrameCutter
from models.data.manifest import Split
from models.data.source_video import Layout, LeftOut, SourceVideo, uniquely_named
from models.data.tracks.extract import find_videos
from models.errors import DatasetError
from tests.models.data.trees import write_video

UCF_LISTS = {
    "classInd.txt": "1 Archery\n2 HandstandPushups\n",
    "trainlist01.txt": "Archery/v_Archery_g08_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g08_c01.avi 2\r\n",
    "testlist01.txt": "Archery/v_Archery_g01_c01.avi\nArchery/v_Archery_g01_c02.avi\n",
}


def touch(root: Path, *names: str) -> Path:
    """Empty files: a layout is read by names alone."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def lists(folder: Path, **changed: str) -> Path:
    folder.mkdir()
    for name, text in {**UCF_LISTS, **{f"{name}.txt": text for name, text in changed.items()}}.items():
        (folder / name).write_text(text)
    return folder


def by_name(layout: Layout) -> dict[str, SourceVideo]:
    return {f"{video.label}/{video.name}": video for video in layout.videos}


def left_out(layout: Layout) -> dict[str, str]:
    return {item.what: item.reason for item in layout.left_out}


def test_ucf101_with_lists_takes_splits_groups_and_class_order(tmp_path: Path) -> None:
    root = touch(
        tmp_path / "UCF-101",
        "Archery/v_Archery_g08_c01.avi",
        "Archery/v_Archery_g01_c01.avi",
        "Archery/v_Archery_g02_c09.avi",
        "Archery/notes.avi",
        "HandstandPushups/v_HandStandPushups_g08_c01.avi",
    )
    layout = read_ucf101(root, lists(tmp_path / "lists"), 1)
    videos = by_name(layout)
    assert layout.labels == ("Archery", "HandstandPushups")
    assert {name: (video.split, video.group) for name, video in videos.items()} == {
        "Archery/v_Archery_g01_c01": (Split.TEST, "Archery_g01"),
        "Archery/v_Archery_g08_c01": (Split.TRAIN, "Archery_g08"),
        "HandstandPushups/v_HandStandPushups_g08_c01": (Split.TRAIN, "HandstandPushups_g08"),
    }
    assert left_out(layout) == {
        "Archery/notes.avi": "it is not named v_Class_gNN_cNN",
        "Archery/v_Archery_g02_c09.avi": "it is in neither list",
        "Archery/v_Archery_g01_c02.avi": "it is not there",
    }


def test_ucf101_without_lists_reads_flat_files_undecided(tmp_path: Path) -> None:
    layout = read_ucf101(touch(tmp_path, "v_Yo_Yo_g01_c01.avi", "v_Archery_g25_c07.avi"))
    assert layout.labels == ("Archery", "Yo_Yo")
    assert {video.group for video in layout.videos} == {"Archery_g25", "Yo_Yo_g01"}
    assert {video.split for video in layout.videos} == {Split.NONE}


def test_ucf101_contradicting_lists_are_all_told(tmp_path: Path) -> None:
    root = touch(tmp_path / "videos", "Archery/v_Archery_g08_c01.avi")
    wrong = "Archery/v_Archery_g08_c01.avi 2\nDiving/v_Diving_g01_c01.avi 1\nArchery/other.avi 1\n"
    folder = lists(tmp_path / "lists", trainlist01=wrong, testlist01="Archery/v_Archery_g08_c01.avi\n")
    with pytest.raises(DatasetError) as caught:
        read_ucf101(root, folder, 1)
    for part in (
        "trainlist01.txt:1: Archery/v_Archery_g08_c01.avi has class number 2, by classInd.txt 1",
        "trainlist01.txt:2: Diving/v_Diving_g01_c01.avi is of no class",
        "trainlist01.txt:3: Archery/other.avi is not named",
        "testlist01.txt:1: Archery/v_Archery_g08_c01.avi is listed twice",
    ):
        assert part in str(caught.value)


def test_ucf101_missing_lists_are_all_named(tmp_path: Path) -> None:
    folder = lists(tmp_path / "lists")
    (folder / "classInd.txt").unlink()
    with pytest.raises(DatasetError, match=r"classInd\.txt.*trainlist03\.txt.*testlist03\.txt"):
        read_ucf101(tmp_path, folder, 3)


@pytest.mark.parametrize("text", ["1 Archery\n3 Diving\n", "Archery\n", "one Archery\n"])
def test_ucf101_bad_class_list_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DatasetError, match="expected"):
        read_ucf101(tmp_path, lists(tmp_path / "lists", classInd=text), 1)


def test_ucf_sports_flattens_and_merges_views(tmp_path: Path) -> None:
    root = touch(
        tmp_path,
        "Golf-Swing-Back/001/3283-8_700811.avi",
        "Golf-Swing-Front/001/3283-8_700931.avi",
        "Golf-Swing-Side/001/7616-7_70270.avi",
        "Kicking-Front/001/a.avi",
        "Kicking-Side/001/a.avi",
        "Run-Side/001/b.avi",
        "Run-Side/001/c.avi",
        "Run-Side/002/001.jpg",
        "Run-Side/loose.avi",
        "Walk-Front/001/gt/x.txt",
    )
    layout = read_ucf_sports(root)
    assert layout.labels == ("Golf-Swing", "Kicking", "Run-Side")
    assert {name: video.group for name, video in by_name(layout).items()} == {
        "Golf-Swing/Golf-Swing-Back-001": "3283-8",
        "Golf-Swing/Golf-Swing-Front-001": "3283-8",
        "Golf-Swing/Golf-Swing-Side-001": "7616-7",
        "Kicking/Kicking-Front-001": "Kicking-Front-001",
        "Kicking/Kicking-Side-001": "Kicking-Side-001",
        "Run-Side/Run-Side-001": "Run-Side-001",
        "Run-Side/Run-Side-001-2": "Run-Side-001",
    }
    assert left_out(layout) == {
        "Run-Side/loose.avi": "it does not lie in Class/001/",
        "Run-Side/002": "there is no video in it",
        "Walk-Front/001": "there is no video in it",
    }


KINETICS = """label,youtube_id,time_start,time_end,split
tai chi,-abc_DEF123,5,15,train
tai chi,zzzzzzzzzzz,100,110,validate
"shooting goal (soccer)",0000000000A,0,10,test
"shooting goal (soccer)",gone1234567,7,17,train
"""


@pytest.mark.parametrize("folders", [("tai chi/", "shooting goal (soccer)/"), ("tai_chi/", "other/"), ("", "")])
def test_kinetics_finds_clips_in_class_folders_or_flat(tmp_path: Path, folders: tuple[str, str]) -> None:
    (tmp_path / "all.csv").write_text(KINETICS)
    root = touch(
        tmp_path / "clips",
        f"{folders[0]}-abc_DEF123_000005_000015.mp4",
        f"{folders[0]}zzzzzzzzzzz_000100_000110.mp4",
        f"{folders[1]}0000000000A_000000_000010.webm",
        "unlisted_000000_000010.mp4",
    )
    layout = read_kinetics(root, [tmp_path / "all.csv"])
    assert layout.labels == ("shooting goal (soccer)", "tai chi")
    assert {name: (video.group, video.split) for name, video in by_name(layout).items()} == {
        "tai chi/-abc_DEF123_000005_000015": ("-abc_DEF123", Split.TRAIN),
        "tai chi/zzzzzzzzzzz_000100_000110": ("zzzzzzzzzzz", Split.VAL),
        "shooting goal (soccer)/0000000000A_000000_000010": ("0000000000A", Split.TEST),
    }
    assert left_out(layout) == {"gone1234567_000007_000017.mp4 (shooting goal (soccer))": "it is not there"}


def test_kinetics_same_clip_in_two_folders_takes_the_one_of_its_class(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("label,youtube_id,time_start,time_end,split\ntai chi,a,0,10,train\n")
    root = touch(tmp_path / "clips", "archery/a_000000_000010.mp4", "tai_chi/a_000000_000010.mp4")
    (video,) = read_kinetics(root, [tmp_path / "all.csv"]).videos
    assert video.path.parent.name == "tai_chi"


def test_kinetics_unlabelled_test_rows_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("label,youtube_id,time_start,time_end,split\ntai chi,a,0,10,train\n")
    (tmp_path / "test.csv").write_text("youtube_id,time_start,time_end,split\nb,0,10,test\na,0,10,test\n")
    root = touch(tmp_path / "clips", "a_000000_000010.mp4", "b_000000_000010.mp4")
    layout = read_kinetics(root, [tmp_path / "train.csv", tmp_path / "test.csv"])
    assert [video.name for video in layout.videos] == ["a_000000_000010"]
    assert left_out(layout) == {
        "a_000000_000010.mp4": "test.csv:3 has no label",
        "b_000000_000010.mp4": "test.csv:2 has no label",
    }


def test_kinetics_bad_rows_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    head = "label,youtube_id,time_start,time_end,split\n"
    (tmp_path / "a.csv").write_text(head + "x,id1,0,ten,train\nx,,0,10,train\nx,id2,0,10,holdout\nx,id3,0,10,train\n")
    (tmp_path / "b.csv").write_text(head + "y,id3,0,10,train\n")
    with pytest.raises(DatasetError) as caught:
        read_kinetics(touch(tmp_path, "c.mp4"), [tmp_path / "a.csv", tmp_path / "b.csv"])
    for part in (
        "a.csv:2: column time_end: expected a number, got 'ten'",
        "a.csv:3: youtube_id",
        "a.csv:4: expected the split",
        "b.csv:2: id3_000000",
    ):
        assert part in str(caught.value)


def test_kinetics_csv_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,id\nx,1\n")
    with pytest.raises(DatasetError, match="lacks the columns youtube_id, time_start, time_end"):
        read_kinetics(tmp_path, [tmp_path / "a.csv"])


def test_folders_plain_each_file_is_its_own_group(tmp_path: Path) -> None:
    layout = read_folders(touch(tmp_path, "walk/001.mp4", "run/001.mp4", "run/day/001.mkv", "loose.mp4"))
    assert layout.labels == ("run", "walk")
    assert {name: video.group for name, video in by_name(layout).items()} == {
        "run/001": "run/001",
        "run/day-001": "run/day/001",
        "walk/001": "walk/001",
    }
    assert list(left_out(layout)) == ["loose.mp4"]


def test_folders_with_splits_takes_them(tmp_path: Path) -> None:
    layout = read_folders(touch(tmp_path, "train/walk/a.mp4", "val/walk/b.mp4", "test/run/c.avi"))
    assert {name: video.split for name, video in by_name(layout).items()} == {
        "walk/a": Split.TRAIN,
        "walk/b": Split.VAL,
        "run/c": Split.TEST,
    }


def test_folders_splits_beside_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"splits \(train\) beside classes \(walk\)"):
        read_folders(touch(tmp_path, "train/walk/a.mp4", "walk/b.mp4"))


def test_folders_group_pattern_names_the_source(tmp_path: Path) -> None:
    root = touch(tmp_path, "walk/cam1_001.mp4", "run/cam1_002.mp4", "run/cam2_001.mp4")
    layout = read_folders(root, Grouping(pattern=r"(cam\d+)_"))
    assert {name: video.group for name, video in by_name(layout).items()} == {
        "walk/cam1_001": "cam1",
        "run/cam1_002": "cam1",
        "run/cam2_001": "cam2",
    }


def test_folders_pattern_that_fits_not_all_lists_the_others(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"2 videos get no group by the pattern: run/b.mp4, run/c.mp4"):
        read_folders(touch(tmp_path, "run/cam1.mp4", "run/b.mp4", "run/c.mp4"), Grouping(pattern="cam."))


def test_folders_bad_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="regular expression"):
        read_folders(touch(tmp_path, "run/a.mp4"), Grouping(pattern="("))


def test_folders_groups_csv_names_groups_and_splits(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("# by eye\nclip,label,source_group,split\nfi1,Fight,7,val\nno/no1.mp4,No,8,\n")
    root = touch(tmp_path / "videos", "fight/fi1.mp4", "no/no1.mp4")
    layout = read_folders(root, Grouping(csv_file=tmp_path / "clips.csv"))
    assert {name: (video.group, video.split) for name, video in by_name(layout).items()} == {
        "fight/fi1": ("7", Split.VAL),
        "no/no1": ("8", Split.NONE),
    }


def test_folders_bad_groups_csv_lists_every_row(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("clip,group,split\na,,train\nb,1,holdout\nc,1,train\nc,2,train\n")
    with pytest.raises(DatasetError) as caught:
        read_folders(touch(tmp_path / "v", "x/a.mp4"), Grouping(csv_file=tmp_path / "clips.csv"))
    for part in ("'a' has no group", "clips.csv:3: expected the split", "'c' is listed twice"):
        assert part in str(caught.value)


@pytest.mark.parametrize("read", [read_ucf101, read_ucf_sports, read_folders])
def test_any_layout_without_videos_says_what_was_expected(tmp_path: Path, read) -> None:
    with pytest.raises(DatasetError, match=r"holds no usable video; expected .+; found stray.mp4"):
        read(touch(tmp_path, "stray.mp4"))
    with pytest.raises(DatasetError, match="is no folder"):
        read(tmp_path / "nowhere")


def test_uniquely_named_numbers_what_would_share_a_file(tmp_path: Path) -> None:
    names = [("a/b", "x.y"), ("a_b", "x_y"), ("a_b", "X_Y"), ("other", "x.y")]
    videos = uniquely_named(SourceVideo(tmp_path, label, "g", name) for label, name in names)
    assert [video.name for video in videos] == ["x_y", "x_y", "X_Y-2", "x_y"]  # each class has a folder


def close_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may list ``folder`` or look at what is in it, as for anyone but root: there it raises PermissionError."""
    stat, scandir = os.stat, os.scandir

    def refused(path: object) -> PermissionError:
        return PermissionError(errno.EACCES, "Permission denied", str(path))

    def closed_stat(path: Any, *words: Any, **options: Any) -> os.stat_result:
        if folder in Path(str(path)).parents:
            raise refused(path)
        return stat(path, *words, **options)

    def closed_scandir(path: str) -> object:
        if Path(path) == folder:
            raise refused(path)
        return scandir(path)

    monkeypatch.setattr(os, "stat", closed_stat)
    monkeypatch.setattr(os, "scandir", closed_scandir)


def test_folders_that_cannot_be_listed_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "run/a.mp4", "walk/b.mp4")
    close_folder(tmp_path / "walk", monkeypatch)
    layout = read_folders(tmp_path)
    assert [video.name for video in layout.videos] == ["a"]
    assert layout.left_out == (LeftOut("walk", "a folder that cannot be listed: Permission denied", bad=True),)


def test_prepare_leaves_out_a_video_that_nobody_may_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "tree" / "run" / "a.mp4")
    touch(tmp_path / "tree", "walk/b.mp4")
    layout = read_folders(tmp_path / "tree")
    close_folder(tmp_path / "tree" / "walk", monkeypatch)
    cutter = WholeFrameCutter(size=32, short_side=36)
    done = prepare(layout, tmp_path / "data", cutter, PrepareConfig(), lambda *_: None)
    assert [(item.what, item.bad) for item in done.left_out] == [("walk/b.mp4", True)]
    assert len(done.dataset.records) == 1


def test_find_videos_of_what_may_not_be_looked_at_tells_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "open/a.mp4", "open/closed/b.mp4", "open/closed/c.mp4")
    close_folder(tmp_path / "open" / "closed", monkeypatch)
    found = find_videos([tmp_path / "open", tmp_path / "open" / "closed" / "b.mp4"])
    assert [path.name for path in found.videos] == ["a.mp4"]
    assert found.problems == (
        f"{tmp_path / 'open' / 'closed'}: a folder that cannot be listed: Permission denied",
        f"{tmp_path / 'open' / 'closed' / 'b.mp4'}: no permission to look at it",
    )


def test_kinetics_times_with_a_comma_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label;youtube_id;time_start;time_end;split\nx;id1;0,0;10,0;train\n")
    (video,) = read_kinetics(touch(tmp_path, "id1_000000_000010.mp4"), [tmp_path / "a.csv"]).videos
    assert (video.label, video.split) == ("x", Split.TRAIN)


def test_folders_split_words_are_those_of_tables(tmp_path: Path) -> None:
    layout = read_folders(touch(tmp_path, "Training/run/a.mp4", "dev/run/b.mp4", "testing/run/c.mp4"))
    assert [video.split for video in layout.videos] == [Split.TRAIN, Split.VAL, Split.TEST]


def test_folders_whose_name_nobody_sees_hold_no_class(tmp_path: Path) -> None:
    layout = read_folders(touch(tmp_path, "run/a.mp4", "\u200b/b.mp4"))
    assert layout.labels == ("run",)
    assert "nothing that the eye sees" in left_out(layout)["\u200b/b.mp4"]


def test_folders_groups_csv_row_without_a_clip_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4")
    (tmp_path / "groups.csv").write_text("group,clip\ng,run/a.mp4\ng\n")
    with pytest.raises(DatasetError, match=r"groups\.csv:3: column clip: expected the name of a video"):
        read_folders(tmp_path, Grouping(csv_file=tmp_path / "groups.csv"))
