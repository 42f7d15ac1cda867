"""Layouts → data sets: clips, manifest, what is left out, going on after an interruption, leaks."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.data.balance import BalanceConfig, balance_dataset
from models.data.clip_file import ClipFormat, read_clip
from models.data.layouts.folders import Grouping, read_folders
from models.data.layouts.prepare import Cutter, PrepareConfig, Prepared, prepare
from models.data.layouts.ucf101 import read_ucf101
from models.data.layouts.ucf_sports import MIN_S, read_ucf_sports
from models.data.layouts.whole_frame import Piece, WholeFrameCutter
from models.data.leaks import LeakError
from models.data.manifest import Split, read_dataset, write_dataset
from models.data.source_video import Layout
from models.data.split import SplitConfig, split
from models.errors import DatasetError
from tests.models.data.trees import write_broken, write_video

SMALL = WholeFrameCutter(size=32, short_side=36)


def run(layout: Layout, folder: Path, cutter: Cutter = SMALL, **options: object) -> Prepared:
    return prepare(layout, folder, cutter, PrepareConfig(**options), lambda *_: None)  # type: ignore[arg-type]


class Counting:
    """The real cutter, which notes what it was given and breaks off after ``stop_after`` videos."""

    def __init__(self, stop_after: int = 99) -> None:
        self.cut_videos: list[str] = []
        self.input = SMALL.input
        self._stop_after = stop_after

    def describe(self) -> dict[str, object]:
        return SMALL.describe()

    def stamp(self, path: Path) -> str:
        return SMALL.stamp(path)

    def cut(self, path: Path) -> Iterator[Piece]:
        if len(self.cut_videos) == self._stop_after:
            raise KeyboardInterrupt
        self.cut_videos.append(path.name)
        yield from SMALL.cut(path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Six videos of two classes."""
    for number in range(6):
        write_video(tmp_path / "tree" / ("walk", "run")[number % 2] / f"{number}.mp4", seed=number)
    return tmp_path / "tree"


def test_prepare_ucf_sports_makes_mp4_of_what_can_be_used_and_lists_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "ucf"
    write_video(root / "Golf-Swing-Back" / "001" / "3283-8_700811.avi", 30, seed=1)
    write_video(root / "Kicking-Side" / "001" / "a.avi", 26, seed=2)
    write_video(root / "Kicking-Side" / "002" / "b.avi", 20, seed=3)
    write_broken(root / "Kicking-Front" / "001" / "c.avi")
    cutter = WholeFrameCutter(size=32, short_side=36, min_s=MIN_S)
    done = run(read_ucf_sports(root), tmp_path / "data", cutter)
    read = read_dataset(tmp_path / "data")
    assert read == done.dataset
    assert read.labels == ("Golf-Swing", "Kicking")
    assert [record.path.relative_to(tmp_path / "data").as_posix() for record in read.records] == [
        "clips/Golf-Swing/Golf-Swing-Back-001.mp4",
        "clips/Kicking/Kicking-Side-001.mp4",
    ]
    golf = read.records[0]
    assert (golf.group, golf.video, golf.filled, golf.end_s) == (
        "3283-8",
        "Golf-Swing-Back/001/3283-8_700811.avi",
        30,
        1.2,
    )
    assert read_clip(golf.path).shape == (30, 32, 32, 3)
    with (tmp_path / "data" / "left_out.csv").open(newline="") as stream:
        rows = {row["what"]: row["reason"] for row in csv.DictReader(stream)}
    assert rows["Kicking-Side/002/b.avi"] == "it is 0.80 s long, under 1 s"
    assert "cannot be decoded" in rows["Kicking-Front/001/c.avi"]
    assert len(rows) == 2


def test_prepare_ucf101_keeps_official_splits_and_class_order(tmp_path: Path) -> None:
    names = {"Zumba/v_Zumba_g08_c01.avi": 1, "Zumba/v_Zumba_g01_c01.avi": 2, "Archery/v_Archery_g09_c01.avi": 3}
    for name, seed in names.items():
        write_video(tmp_path / "UCF-101" / name, 10, seed=seed)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "classInd.txt").write_text("1 Zumba\n2 Archery\n3 Diving\n")
    (tmp_path / "lists" / "trainlist01.txt").write_text(
        "Zumba/v_Zumba_g08_c01.avi 1\nArchery/v_Archery_g09_c01.avi 2\n"
    )
    (tmp_path / "lists" / "testlist01.txt").write_text("Zumba/v_Zumba_g01_c01.avi\n")
    data = run(read_ucf101(tmp_path / "UCF-101", tmp_path / "lists", 1), tmp_path / "data").dataset
    assert dict(data.info.class2label) == {"Zumba": 0, "Archery": 1}  # of Diving there is no video
    assert sorted((record.group, record.split) for record in data.records) == [
        ("Archery_g09", Split.TRAIN),
        ("Zumba_g01", Split.TEST),
        ("Zumba_g08", Split.TRAIN),
    ]


@pytest.mark.parametrize("form", list(ClipFormat))
def test_prepare_any_format_reads_back(tmp_path: Path, tree: Path, form: ClipFormat) -> None:
    data = run(read_folders(tree), tmp_path / "data", form=form).dataset
    clips = [read_clip(record.path) for record in data.records]
    assert {clip.shape for clip in clips} == {(30, 32, 32, 3)}
    assert data.info.input.width == 32
    assert data.info.input.margin == 0.0


def test_prepare_long_video_becomes_clips_of_one_group(tmp_path: Path) -> None:
    write_video(tmp_path / "tree" / "walk" / "v.2.mp4", 85)
    cutter = WholeFrameCutter(size=32, short_side=36, piece_s=1.0)
    data = run(read_folders(tmp_path / "tree"), tmp_path / "data", cutter).dataset
    assert [(r.path.name, r.group, r.start_s, r.end_s, r.filled) for r in data.records] == [
        ("v_2.mp4", "walk/v.2", 0.0, 1.0, 25),
        ("v_2.2.mp4", "walk/v.2", 1.0, 2.0, 25),
        ("v_2.3.mp4", "walk/v.2", 2.0, 3.4, 35),
    ]


def test_prepare_stopped_goes_on_where_it_was(tmp_path: Path, tree: Path) -> None:
    layout, folder = read_folders(tree), tmp_path / "data"
    with pytest.raises(KeyboardInterrupt):
        run(layout, folder, Counting(stop_after=3), form=ClipFormat.FFV1)
    assert not (folder / "manifest.csv").exists()
    half_written = folder / "clips" / "walk" / ".4.part.mkv"
    half_written.parent.mkdir(exist_ok=True)
    half_written.write_bytes(b"half")
    with (folder / "prepare.jsonl").open("ab") as stream:
        stream.write(b'{"key": "walk/4", "sta')  # a kill in the middle of a line
    second = Counting()
    data = run(layout, folder, second, form=ClipFormat.FFV1).dataset
    assert len(second.cut_videos) == 3
    assert len(data.records) == 6
    assert not half_written.exists()
    fresh = run(layout, tmp_path / "fresh", form=ClipFormat.FFV1).dataset
    for ours, other in zip(data.records, fresh.records, strict=True):
        assert np.array_equal(read_clip(ours.path), read_clip(other.path))  # x264 is not the same bit by bit
    assert (folder / "manifest.csv").read_text() == (tmp_path / "fresh" / "manifest.csv").read_text()


def test_prepare_again_cuts_only_what_changed_or_was_lost(tmp_path: Path, tree: Path) -> None:
    layout, folder = read_folders(tree), tmp_path / "data"
    write_broken(tree / "walk" / "0.mp4")
    assert len(run(layout, folder).left_out) == 1
    write_video(tree / "walk" / "0.mp4", seed=50)
    (folder / "clips" / "run" / "3.mp4").unlink()
    again = Counting()
    done = run(layout, folder, again)
    assert sorted(again.cut_videos) == ["0.mp4", "3.mp4"]
    assert len(done.dataset.records) == 6
    assert not done.left_out


def test_prepare_video_that_became_shorter_leaves_no_old_clip(tmp_path: Path) -> None:
    cutter = WholeFrameCutter(size=32, short_side=36, piece_s=1.0)
    video = write_video(tmp_path / "tree" / "walk" / "v.mp4", 60)
    run(read_folders(tmp_path / "tree"), tmp_path / "data", cutter)
    assert len(list((tmp_path / "data" / "clips" / "walk").iterdir())) == 2
    write_video(video, 20)
    run(read_folders(tmp_path / "tree"), tmp_path / "data", cutter)
    assert [path.name for path in (tmp_path / "data" / "clips" / "walk").iterdir()] == ["v.mp4"]


def test_prepare_with_other_options_in_the_same_folder_is_refused(tmp_path: Path, tree: Path) -> None:
    layout = read_folders(tree)
    run(layout, tmp_path / "data")
    with pytest.raises(DatasetError, match="begun with other options"):
        run(layout, tmp_path / "data", WholeFrameCutter(size=34, short_side=36))


def test_prepare_again_keeps_class_order_and_new_splits(tmp_path: Path, tree: Path) -> None:
    grouping = Grouping(pattern=r"/(\d)")
    first = run(read_folders(tree, grouping), tmp_path / "data").dataset
    assert first.labels == ("run", "walk")
    parts = split(first.records, SplitConfig({Split.TRAIN: 1, Split.VAL: 1}))
    write_dataset(type(first)(first.folder, first.info, parts))
    write_video(tree / "climb" / "7.mp4", seed=7)
    write_video(tree / "climb" / "4.mp4", seed=8)  # of a group that has a split
    again = run(read_folders(tree, grouping), tmp_path / "data").dataset
    assert again.labels == ("run", "walk", "climb")
    splits = {record.group: record.split for record in parts}
    assert {record.group: record.split for record in again.records} == {**splits, "7": Split.NONE}


def test_prepare_leaking_groups_are_refused_and_listed(tmp_path: Path) -> None:
    names = ("train/a/cam1_1", "val/a/cam1_2", "train/a/cam2_1", "test/a/cam2_2", "train/a/cam3_1")
    for seed, name in enumerate(names):
        write_video(tmp_path / "tree" / f"{name}.mp4", 10, seed=seed)
    layout = read_folders(tmp_path / "tree", Grouping(pattern=r"cam\d"))
    with pytest.raises(LeakError, match=r"'cam1' in train and val; 'cam2' in train and test") as caught:
        run(layout, tmp_path / "data")
    assert set(caught.value.groups) == {"cam1", "cam2"}
    done = run(layout, tmp_path / "data", drop_leaks=True)
    assert [record.path.stem for record in done.dataset.records] == ["cam2_2", "cam3_1", "cam1_2"]
    assert sorted(item.what for item in done.left_out) == ["a/cam1_1.mp4", "a/cam2_1.mp4"]


def test_prepare_nothing_decodable_is_refused(tmp_path: Path) -> None:
    write_broken(tmp_path / "tree" / "walk" / "1.mp4")
    with pytest.raises(DatasetError, match=r"no usable video; expected .* decoded; found walk/1.mp4 \(it cannot be"):
        run(read_folders(tmp_path / "tree"), tmp_path / "data")


def test_prepare_balanced_data_set_is_refused(tmp_path: Path, tree: Path) -> None:
    first = run(read_folders(tree), tmp_path / "data").dataset
    write_dataset(type(first)(first.folder, first.info, split(first.records, SplitConfig({Split.TRAIN: 1}))))
    balance_dataset(tmp_path / "data", BalanceConfig(2))
    with pytest.raises(DatasetError, match="--undo"):
        run(read_folders(tree), tmp_path / "data")


def test_prepare_several_jobs_give_the_same_data_set_and_report_progress(tmp_path: Path, tree: Path) -> None:
    seen: list[tuple[int, int]] = []
    config = PrepareConfig(ClipFormat.FFV1, jobs=3)
    data = prepare(
        read_folders(tree), tmp_path / "a", SMALL, config, lambda done, total: seen.append((done, total))
    ).dataset
    one = run(read_folders(tree), tmp_path / "b", form=ClipFormat.FFV1).dataset
    assert seen == [(number, 6) for number in range(7)]
    assert [record.label for record in data.records] == [record.label for record in one.records]
    for ours, other in zip(data.records, one.records, strict=True):
        assert np.array_equal(read_clip(ours.path), read_clip(other.path))


def test_prepare_video_that_breaks_off_leaves_no_clip(tmp_path: Path, tree: Path) -> None:
    class BreaksOff(Counting):
        def cut(self, path: Path) -> Iterator[Piece]:
            yield from super().cut(path)
            if path.name == "2.mp4":
                raise DatasetError("it ends too early")

    done = run(read_folders(tree), tmp_path / "data", BreaksOff())
    assert [(item.what, item.reason) for item in done.left_out] == [("walk/2.mp4", "it ends too early")]
    assert not (tmp_path / "data" / "clips" / "walk" / "2.mp4").exists()


def with_classes_that_met(folder: Path, layout: Layout) -> None:
    """The data set as it was written when 🥊 and 🤸 shared a folder: the second class's clips over the first's."""
    run(layout, folder)
    (folder / "clips" / "folders.json").unlink()
    for path in (folder / "clips" / "_-2").iterdir():
        path.replace(folder / "clips" / "_" / path.name)
    for name in ("prepare.jsonl", "manifest.csv"):
        text = (folder / name).read_text("utf-8")
        (folder / name).write_text(text.replace("clips/_-2/", "clips/_/"), "utf-8")


@pytest.mark.parametrize("finished", [True, False])
def test_prepare_of_a_folder_in_which_classes_met_cuts_each_anew(tmp_path: Path, finished: bool) -> None:
    for seed, label in enumerate(("🥊", "🤸")):
        write_video(tmp_path / "tree" / label / "x.mp4", seed=seed)
    write_video(tmp_path / "tree" / "🤸" / "y.mp4", seed=2)
    layout = read_folders(tmp_path / "tree")
    right = run(layout, tmp_path / "right").dataset
    with_classes_that_met(tmp_path / "data", layout)
    if not finished:
        (tmp_path / "data" / "manifest.csv").unlink()
    found = run(layout, tmp_path / "data").dataset
    assert len({record.path for record in found.records}) == 3
    for ours, theirs in zip(found.records, right.records, strict=True):
        difference = read_clip(ours.path).astype(np.float32) - read_clip(theirs.path)
        assert ours.label == theirs.label and np.abs(difference).mean() < 4, "x264 is not the same bit by bit"
    assert run(layout, tmp_path / "data").dataset == found
