from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.data.clip_file import ClipFormat, read_clip
from models.data.manifest import Split
from models.data.tracks.example_folders import Grouped, count_samples, from_folders, oversample, write_examples
from models.data.tracks.example_manifest import GroupFacts, read_rows
from models.data.tracks.group import GroupConfig, plan_examples
from models.data.tracks.labels_csv import LabelRow
from models.data.tracks.track_folders import VideoTracks, read_crops
from models.errors import DatasetError
from models.weights.cards import ModelInput
from tests.models.data.working_folder import make_work, quiet

Rows = list[LabelRow] | None
Made = tuple[Path, tuple[VideoTracks, ...]]
TRACKS = {"a": {1: range(1, 91), 2: range(1, 31)}}  # 90 samples: 64 and 26; and 30
NAMES = ["a_00001_000001-000064", "a_00001_000065-000090", "a_00002_000001-000030"]


def group(
    root: Path,
    videos: tuple[VideoTracks, ...],
    rows: list[LabelRow] | None = None,
    *,
    sort: bool = False,
    longest: int = 80,
) -> Grouped:
    config = GroupConfig(longest=longest)
    pairs = [(video, example) for video in videos for example in plan_examples(video, rows, config).examples]
    facts = GroupFacts(input=ModelInput(height=32, width=32), grouping=str(config), format=videos[0].facts.format)
    return write_examples(root, pairs, facts, sort, quiet, [])


@pytest.fixture
def made(tmp_path: Path) -> Made:
    work, videos = make_work(tmp_path, TRACKS)
    group(work / "examples", videos)
    return work / "examples", videos


def visible(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.iterdir() if path.is_dir())


def test_group_writes_a_folder_of_numbered_pictures_for_each_example(
    made: Made,
) -> None:
    root, (video,) = made
    assert visible(root) == NAMES
    assert [count_samples(root / name) for name in NAMES] == [64, 26, 30]
    assert np.array_equal(read_clip(root / NAMES[1]), read_crops(video, video.tracks[0], range(64, 90)))
    assert [(row.name, row.start_frame, row.filled) for row in read_rows(root)] == list(
        zip(NAMES, [1, 65, 1], [64, 26, 30], strict=True)
    )


def test_group_again_writes_only_what_is_missing_wherever_a_person_put_the_rest(
    made: Made,
) -> None:
    root, videos = made
    (root / "Walking").mkdir()
    (root / NAMES[0]).rename(root / "Walking" / NAMES[0])
    shutil.rmtree(root / NAMES[2])
    assert group(root, videos).written == 1
    assert visible(root) == sorted(["Walking", *NAMES[1:]])


def test_group_with_other_labels_removes_old_examples_unless_sorted_by_hand(
    made: Made,
) -> None:
    root, videos = made
    (root / "Walking").mkdir()
    (root / NAMES[0]).rename(root / "Walking" / NAMES[0])
    done = group(root, videos, [LabelRow("a", 2, 1, 30, "Standing")])
    assert (done.written, done.removed) == (0, 1)
    assert {row.name for row in read_rows(root)} == {NAMES[0], NAMES[2]}


def test_group_sort_puts_labelled_examples_into_class_folders(tmp_path: Path) -> None:
    work, videos = make_work(tmp_path, TRACKS)
    group(work / "examples", videos, [LabelRow("a", 1, 1, 64, "Walking fast"), LabelRow("a", 2)], sort=True)
    assert (work / "examples" / "Walking_fast" / NAMES[0]).is_dir()
    found = from_folders(work / "examples", [LabelRow("a", 1, 1, 64, "Walking fast")], ())
    assert [(item.example.label, found.conflicts) for item in found.examples] == [("Walking fast", ())]


def test_group_with_other_options_is_refused(made: Made) -> None:
    root, videos = made
    with pytest.raises(DatasetError, match="move the folder away"):
        group(root, videos, longest=70)


def test_oversample_plays_short_examples_back_and_forth(made: Made) -> None:
    root, _ = made
    before = read_clip(root / NAMES[1])
    assert oversample(root, 64, quiet, []) == (2, 3)
    after = read_clip(root / NAMES[1])
    assert len(after) == 64
    assert np.array_equal(after[-26:], before)
    assert np.array_equal(after[-51:-25], before[::-1])
    assert oversample(root, 64, quiet, []) == (0, 3)
    assert [item.filled for item in from_folders(root, [LabelRow("a", 1, label="x")], ()).examples] == [64, 26]


def test_oversample_after_a_kill_between_its_two_renamings_loses_nothing(
    made: Made,
) -> None:
    root, _ = made
    (root / NAMES[1]).rename(root / f".{NAMES[1]}.old")
    assert oversample(root, 64, quiet, []) == (2, 3)
    assert not list(root.glob(".*.old"))


def test_clip_file_examples_are_grouped_and_extended_too(tmp_path: Path) -> None:
    work, videos = make_work(tmp_path, {"a": {1: range(1, 31)}}, form=ClipFormat.FFV1)
    root = work / "examples"
    group(root, videos)
    path = root / "a_00001_000001-000030.mkv"
    before = read_clip(path)
    assert (count_samples(path), oversample(root, 64, quiet, [])) == (30, (1, 1))
    assert np.array_equal(read_clip(path)[-30:], before)


def test_folders_win_over_the_table_and_conflicts_are_listed(made: Made) -> None:
    root, _ = made
    (root / "Fighting").mkdir()
    for name in (NAMES[0], NAMES[2]):
        (root / name).rename(root / "Fighting" / name)
    rows = [LabelRow("a", 1, 1, 90, "Walking", "cam", Split.VAL), LabelRow("a", 2, 1, 30, "Fighting", "cam", Split.VAL)]
    found = from_folders(root, rows, ())
    assert {item.example.name: item.example.label for item in found.examples} == dict(
        zip(NAMES, ["Fighting", "Walking", "Fighting"], strict=True)
    )
    assert {(item.example.group, item.example.split) for item in found.examples} == {("cam", Split.VAL)}
    assert found.conflicts == (f"{NAMES[0]}: sorted as Fighting, the table says Walking",)


def test_folders_leave_out_what_is_unlabelled_excluded_or_deleted(made: Made) -> None:
    root, _ = made
    (root / "Unclear").mkdir()
    (root / NAMES[0]).rename(root / "Unclear" / NAMES[0])
    shutil.rmtree(root / NAMES[1])
    found = from_folders(root, (), ("Unclear",))
    assert found.examples == ()
    assert dict(found.left_out) == {"removed by hand": 1, "excluded: Unclear": 1, "no label": 1}


def test_folders_with_what_is_no_example_or_there_twice_are_refused(made: Made) -> None:
    root, _ = made
    shutil.copytree(root / NAMES[0], root / "Walking" / NAMES[0])
    (root / NAMES[1]).rename(root / "Walking" / "my favourite")
    with pytest.raises(DatasetError) as caught:
        from_folders(root, (), ())
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "is there twice" in lines[0] or "is there twice" in lines[1]


def test_rows_before_grouping_say_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="`actoscope dataset group` makes it"):
        read_rows(tmp_path)


def test_group_sort_gives_each_class_a_folder_of_its_own_whatever_its_name(tmp_path: Path) -> None:
    work, videos = make_work(tmp_path, TRACKS)
    root = work / "examples"
    rows = [LabelRow("a", 1, 1, 64, "Kick (left)"), LabelRow("a", 1, 65, 90, "🥊"), LabelRow("a", 2, label="Kick left")]
    group(root, videos, rows, sort=True)
    assert visible(root) == ["Kick_left", "Kick_left-2", "unnamed"]
    for table in (rows, []):  # the folders alone say it, too
        found = from_folders(root, table, ())
        assert {item.example.label for item in found.examples} == {"Kick (left)", "🥊", "Kick left"}
        assert found.conflicts == ()
    assert [item.example.label for item in from_folders(root, rows, ["kick LEFT", "🥊"]).examples] == ["Kick (left)"]


def test_group_again_keeps_examples_of_a_video_that_cannot_be_read(tmp_path: Path) -> None:
    work, videos = make_work(tmp_path, {"a": {1: range(1, 31)}, "b": {1: range(1, 31)}})
    root = work / "examples"
    group(root, videos)
    config = GroupConfig()
    facts = GroupFacts(input=ModelInput(height=32, width=32), grouping=str(config), format=ClipFormat.JPEG)
    pairs = [(videos[0], example) for example in plan_examples(videos[0], None, config).examples]
    done = write_examples(root, pairs, facts, False, quiet, [], unread={"b"})
    assert (done.removed, [row.video for row in done.rows]) == (0, ["a", "b"])
    assert visible(root) == [row.name for row in read_rows(root)] == [row.name for row in done.rows]
    assert write_examples(root, pairs, facts, False, quiet, []).removed == 1


def test_group_again_keeps_the_older_example_where_it_cannot_be_cut_anew(made: Made) -> None:
    root, (video,) = made
    (video.folder / "00002" / "000005.jpg").unlink()
    later = (root / NAMES[2]).stat().st_mtime + 9
    os.utime(video.folder / "manifest.csv", (later, later))
    config = GroupConfig()
    pairs = [(video, example) for example in plan_examples(video, None, config).examples]
    facts = GroupFacts(input=ModelInput(height=32, width=32), grouping=str(config), format=ClipFormat.JPEG)
    failed: list[str] = []
    done = write_examples(root, pairs, facts, False, quiet, failed)
    assert (len(failed), done.removed, visible(root)) == (1, 0, NAMES)
    assert count_samples(root / NAMES[2]) == 30 and sorted(row.name for row in read_rows(root)) == NAMES
