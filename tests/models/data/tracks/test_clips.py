from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.data.clip_file import Clip, ClipFormat, read_clip
from models.data.manifest import Split, read_dataset, write_dataset
from models.data.tracks.clips import ClipsConfig, LabelledExample, clip_indices, make_clips, refresh_lists
from models.data.tracks.group import Example, GroupConfig
from models.data.tracks.labelled_examples import format_of, from_tracks, input_of
from models.data.tracks.labels_csv import LabelRow
from models.errors import DatasetError
from models.weights.cards import ModelInput
from tests.models.data.working_folder import make_work, quiet

INPUT = ModelInput(height=32, width=32)
CONFIG = ClipsConfig(INPUT, format=ClipFormat.FFV1)


def numbered(samples: int, label: str = "Walking", group: str = "g", split: Split = Split.TRAIN) -> LabelledExample:
    """An example whose pictures tell their number, made before any clip of it."""
    pictures = np.broadcast_to(np.arange(samples, dtype=np.uint8)[:, None, None, None], (samples, 32, 32, 3))
    name = f"{group}_00001_000001-{samples:06d}"
    example = Example(name, group, 1, (), 1, samples, 0.0, (samples - 1) / 25, label, group, split)
    return LabelledExample(example, samples, samples, 0.0, lambda: np.array(pictures))


def numbers(path: Path) -> list[int]:
    return read_clip(path)[:, 0, 0, 0].tolist()


def test_clip_indices_are_the_first_and_where_longer_the_last_64() -> None:
    assert clip_indices(64, 64, whole=False) == [("_first", list(range(64)))]
    assert clip_indices(70, 64, whole=False) == [("_first", list(range(64))), ("_last", list(range(6, 70)))]
    assert clip_indices(70, 64, whole=True) == [("", list(range(70)))]


def test_clip_indices_of_a_short_example_go_back_and_forth_and_end_on_the_newest() -> None:
    assert clip_indices(3, 8, whole=False) == [("_first", [1, 0, 1, 2, 1, 0, 1, 2])]


def test_make_clips_writes_files_rows_and_lists(tmp_path: Path) -> None:
    examples = [numbered(70), numbered(10, "Standing", "h", Split.VAL)]
    data = make_clips(examples, tmp_path, CONFIG, quiet, [])
    again = read_dataset(tmp_path)
    assert (again.info, [item.path for item in again.records]) == (data.info, [item.path for item in data.records])
    assert (tmp_path / "trainlist.txt").read_text() == (
        "clips/Walking/g_00001_000001-000070_first.mkv 1\nclips/Walking/g_00001_000001-000070_last.mkv 1\n"
    )
    assert (tmp_path / "vallist.txt").read_text() == "clips/Standing/h_00001_000001-000010_first.mkv 0\n"
    first, last, short = data.records
    assert (numbers(first.path), numbers(last.path)) == (list(range(64)), list(range(6, 70)))
    assert (len(numbers(short.path)), numbers(short.path)[-10:], short.filled) == (64, list(range(10)), 10)
    assert (last.start_s, last.end_s, short.start_s, short.end_s) == pytest.approx((0.24, 2.76, 0.0, 0.36))
    assert data.info.input == INPUT


def test_make_clips_whole_writes_each_example_as_long_as_it_is(tmp_path: Path) -> None:
    data = make_clips([numbered(70), numbered(10, group="h")], tmp_path, replace(CONFIG, whole=True), quiet, [])
    assert [len(read_clip(record.path)) for record in data.records] == [70, 10]
    assert [record.filled for record in data.records] == [70, 10]


def test_make_clips_again_writes_only_what_changed(tmp_path: Path) -> None:
    first = make_clips([numbered(10), numbered(12)], tmp_path, CONFIG, quiet, []).records
    for record in first:
        os.utime(record.path, (1000, 1000))
    changed = replace(numbered(12), changed_at=2000.0)
    make_clips([numbered(10), changed], tmp_path, CONFIG, quiet, [])
    assert [record.path.stat().st_mtime == 1000 for record in first] == [True, False]


@pytest.mark.parametrize("form", [ClipFormat.FFV1, ClipFormat.JPEG])
def test_make_clips_removes_clips_that_nothing_asks_for_any_more(tmp_path: Path, form: ClipFormat) -> None:
    config = replace(CONFIG, format=form)
    before = make_clips([numbered(10), numbered(12, "Standing")], tmp_path, config, quiet, []).records
    after = make_clips([numbered(10, "Standing"), numbered(12)], tmp_path, config, quiet, []).records
    assert sorted(tmp_path.glob("clips/*/*")) == sorted(record.path for record in after)
    assert not {record.path for record in before} & {record.path for record in after}


def test_make_clips_keeps_the_order_of_classes_until_told_otherwise(tmp_path: Path) -> None:
    examples = [numbered(9, "b"), numbered(10, "a")]
    made = make_clips(examples, tmp_path, replace(CONFIG, classes=("b", "a")), quiet, [])
    assert made.labels == ("b", "a")
    assert make_clips(examples, tmp_path, CONFIG, quiet, []).labels == ("b", "a")
    with pytest.raises(DatasetError, match="knows the classes b,a, the examples have a,b,c"):
        make_clips([*examples, numbered(11, "c")], tmp_path, CONFIG, quiet, [])


def test_make_clips_lists_every_label_without_a_class_and_the_other_way_round(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        make_clips([numbered(9, "a"), numbered(10, "b")], tmp_path, replace(CONFIG, classes=("c",)), quiet, [])
    assert len(str(caught.value).splitlines()) == 3
    assert not (tmp_path / "clips").exists()


def test_make_clips_refuses_a_group_in_two_splits(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="group 'g' lies in the splits train, val"):
        make_clips([numbered(9), numbered(10, split=Split.VAL)], tmp_path, CONFIG, quiet, [])


def test_make_clips_of_another_form_is_refused(tmp_path: Path) -> None:
    make_clips([numbered(9)], tmp_path, CONFIG, quiet, [])
    with pytest.raises(DatasetError, match="--overwrite"):
        make_clips(
            [numbered(9)], tmp_path, replace(CONFIG, input=ModelInput(height=32, width=32, margin=0.5)), quiet, []
        )


def test_make_clips_without_examples_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no labelled example"):
        make_clips([], tmp_path, CONFIG, quiet, [])


def test_splits_made_later_are_kept_and_the_lists_follow(tmp_path: Path) -> None:
    examples = [numbered(9, split=Split.NONE), numbered(10, group="h", split=Split.NONE)]
    data = make_clips(examples, tmp_path, CONFIG, quiet, [])
    assert (tmp_path / "trainlist.txt").read_text() == ""
    splits = {"g": Split.TRAIN, "h": Split.TEST}
    data = replace(data, records=tuple(replace(item, split=splits[item.group]) for item in data.records))
    write_dataset(data)
    refresh_lists(data)
    assert (
        (tmp_path / "trainlist.txt").read_text().count("\n") == (tmp_path / "testlist.txt").read_text().count("\n") == 1
    )
    again = make_clips([*examples, numbered(11, split=Split.NONE)], tmp_path, CONFIG, quiet, [])
    assert [record.split for record in again.records] == [Split.TRAIN, Split.TEST, Split.TRAIN]


def test_from_tracks_reads_the_crops_of_labelled_ranges(tmp_path: Path) -> None:
    _, videos = make_work(tmp_path, {"a": {1: range(1, 81), 2: range(1, 31)}, "b": {1: range(1, 5)}})
    rows = [
        LabelRow("a", 1, 1, 40, "Walking", "cam"),
        LabelRow("a", 1, 41, 80, "Unclear"),
        LabelRow("a", 2, 1, 30),
        LabelRow("b", 1, 1, 4, "Walking"),
    ]
    found = from_tracks(videos, rows, ("Unclear",), GroupConfig())
    (item,) = found.examples
    assert (item.example.label, item.example.group, item.samples) == ("Walking", "cam", 40)
    assert item.read().shape == (40, 32, 32, 3)
    assert dict(found.left_out) == {"excluded: Unclear": 1, "no label": 1, "too short": 1}


def test_from_tracks_without_a_table_says_what_to_do() -> None:
    with pytest.raises(DatasetError, match="no labels"):
        from_tracks([], None, (), GroupConfig())


def test_input_is_that_of_the_crops_and_must_be_one(tmp_path: Path) -> None:
    _, (one,) = make_work(tmp_path, {"a": {1: [1, 2]}}, rate=10)
    assert input_of([one], 64, 25.0) == ModelInput(height=32, width=32)
    assert input_of([one], 64, None).rate_hz == 10
    other = replace(one, facts=one.facts.model_copy(update={"margin": 0.5, "format": ClipFormat.FFV1}))
    with pytest.raises(DatasetError, match=r"margin 0.2.*\n.*margin 0.5"):
        input_of([one, other], 64, 25.0)
    with pytest.raises(DatasetError, match="expected one"):
        format_of([one, other])


def test_make_clips_gives_each_class_a_folder_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    names = ("Kick left", "Kick (left)", "🥊", "🤸")
    examples = [numbered(10 + place, name, f"g{place}") for place, name in enumerate(names)]
    folders = ["Kick_left", "Kick_left-2", "unnamed", "unnamed-2"]
    before: dict[str, str] = {}
    for chosen in (examples, examples[::-1]):
        data = make_clips(chosen, tmp_path, CONFIG, quiet, [])
        found = {record.label: record.path.parent.name for record in data.records}
        assert sorted(found.values()) == folders
        held = json.loads((tmp_path / "clips" / "folders.json").read_text("utf-8"))
        assert {name: folder for folder, name in held.items()} == found
        assert before in ({}, found)
        before = found


def test_make_clips_of_an_old_data_set_without_that_file_leaves_its_clips_where_they_are(tmp_path: Path) -> None:
    before = make_clips([numbered(10, "Kick left")], tmp_path, CONFIG, quiet, []).records
    (tmp_path / "clips" / "folders.json").unlink()
    config = replace(CONFIG, classes=("Kick (left)", "Kick left"))
    after = make_clips([numbered(10, "Kick left"), numbered(11, "Kick (left)", "h")], tmp_path, config, quiet, [])
    assert [record.path.parent.name for record in after.records] == ["Kick_left", "Kick_left-2"]
    assert after.records[0].path == before[0].path


def test_make_clips_writes_classes_as_the_data_set_does(tmp_path: Path) -> None:
    make_clips([numbered(10, "Walking")], tmp_path, CONFIG, quiet, [])
    again = make_clips([numbered(10, "walking "), numbered(12, "WALKING", "h")], tmp_path, CONFIG, quiet, [])
    assert (again.labels, {record.label for record in again.records}) == (("Walking",), {"Walking"})


def test_make_clips_leaves_out_what_cannot_be_read_and_tells(tmp_path: Path) -> None:
    def damaged() -> Clip:
        raise DatasetError("000005.jpg is missing")

    failed: list[str] = []
    data = make_clips([replace(numbered(10), read=damaged), numbered(11, group="h")], tmp_path, CONFIG, quiet, failed)
    assert ([record.group for record in data.records], failed) == (["h"], ["000005.jpg is missing"])


def unreadable() -> Clip:
    raise DatasetError("000005.jpg is missing")


def test_make_clips_again_keeps_what_cannot_be_read_now(tmp_path: Path) -> None:
    before = make_clips([numbered(10), numbered(11, "Standing", "h", Split.VAL)], tmp_path, CONFIG, quiet, [])
    write_dataset(replace(before, records=tuple(replace(row, split=Split.VAL) for row in before.records)))
    chosen = [numbered(10, split=Split.NONE)]
    again = make_clips(chosen, tmp_path, CONFIG, quiet, ["h/manifest.csv cannot be read"], unread={"h"})
    assert [(row.group, row.split) for row in again.records] == [("g", Split.VAL), ("h", Split.VAL)]
    assert read_dataset(tmp_path).records == again.records
    assert len(numbers(again.records[1].path)) == 64


def test_make_clips_again_keeps_the_clip_of_an_example_by_its_name(tmp_path: Path) -> None:
    make_clips([numbered(70), numbered(11, group="h")], tmp_path, CONFIG, quiet, [])
    again = make_clips([numbered(11, group="h")], tmp_path, CONFIG, quiet, [], unread={"g_00001_000001-000070"})
    assert [row.group for row in again.records] == ["h", "g", "g"]


def test_make_clips_part_that_cannot_be_made_anew_keeps_its_older_clip(tmp_path: Path) -> None:
    before = make_clips([numbered(10), numbered(11, group="h")], tmp_path, CONFIG, quiet, []).records
    later = before[0].path.stat().st_mtime + 9
    damaged = replace(numbered(10, split=Split.VAL), changed_at=later, read=unreadable)
    failed: list[str] = []
    again = make_clips([damaged, numbered(11, group="h")], tmp_path, CONFIG, quiet, failed).records
    assert {(row.path, row.split) for row in again} == {(before[0].path, Split.VAL), (before[1].path, Split.TRAIN)}
    assert len(numbers(before[0].path)) == 64 and failed == ["000005.jpg is missing"]


def test_make_clips_where_nothing_can_be_made_raises_and_changes_nothing(tmp_path: Path) -> None:
    before = make_clips([numbered(10)], tmp_path, CONFIG, quiet, []).records
    later = before[0].path.stat().st_mtime + 9
    with pytest.raises(DatasetError, match=r"000005\.jpg is missing"):
        make_clips([replace(numbered(10), changed_at=later, read=unreadable)], tmp_path, CONFIG, quiet, [])
    with pytest.raises(DatasetError, match=r"a\.mp4 cannot be read"):
        make_clips([], tmp_path, CONFIG, quiet, ["a.mp4 cannot be read"])
    assert read_dataset(tmp_path).records == before and len(numbers(before[0].path)) == 64


def test_make_clips_in_another_form_is_refused_where_some_cannot_be_read(tmp_path: Path) -> None:
    make_clips([numbered(10), numbered(11, group="h")], tmp_path, CONFIG, quiet, [])
    other = replace(CONFIG, input=ModelInput(height=32, width=32, rate_hz=10), overwrite=True)
    with pytest.raises(DatasetError, match="1 clips cannot be made anew: h cannot be read"):
        make_clips([numbered(10)], tmp_path, other, quiet, [], unread={"h"})


def test_make_clips_label_that_nobody_sees_is_none(tmp_path: Path) -> None:
    data = make_clips([numbered(10), numbered(11, "\u200d", "h")], tmp_path, CONFIG, quiet, [])
    assert [row.label for row in data.records] == ["Walking"]


def test_make_clips_of_a_folder_in_which_classes_met_makes_one_for_each(tmp_path: Path) -> None:
    before = make_clips([numbered(10, "A"), numbered(11, "B", "h")], tmp_path, CONFIG, quiet, [])
    met = tmp_path / "clips" / "A" / before.records[1].path.name
    before.records[1].path.rename(met)
    (tmp_path / "clips" / "folders.json").unlink()
    write_dataset(replace(before, records=(before.records[0], replace(before.records[1], path=met))))
    again = make_clips([numbered(10, "A"), numbered(11, "B", "h")], tmp_path, CONFIG, quiet, [])
    assert [row.path.parent.name for row in again.records] == ["A-2", "B"]
