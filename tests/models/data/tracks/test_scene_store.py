"""Labelled scenes on disk: each picture once, the labels as the table has them now, any clip in any order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.data.manifest import Dataset, Split
from models.data.tracks import scene_examples as scene_examples_module
from models.data.tracks import scene_store
from models.data.tracks.labels_csv import LABELS_FILE, read_labels, write_labels
from models.data.tracks.scene_examples import scene_examples
from models.data.tracks.scene_store import CLIPS_FILE, PICTURES_FILE, SceneRecord, cut_scenes, read_scenes
from models.errors import DatasetError
from tests.models.data.scene_work import RIGHT, SHAPE, make_scene_work, rows
from tests.models.data.working_folder import quiet

HOP = 4


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scene_work(tmp_path_factory.mktemp("work"))


def cut(work: Path, root: Path, hop: int = HOP) -> Dataset:
    return cut_scenes(read_scenes(work), SHAPE, hop, root, quiet)


def scenes(dataset: Dataset) -> list[SceneRecord]:
    return [record for record in dataset.records if isinstance(record, SceneRecord)]


def test_cut_scenes_are_the_examples_of_the_table(work: Path, tmp_path: Path) -> None:
    dataset = cut(work, tmp_path)
    examples = list(scene_examples(work, rows(), SHAPE, hop=HOP))
    assert (dataset.labels, dataset.info.input, dataset.folder) == (("standing", "walking"), SHAPE, work)
    assert len(dataset.records) == len(examples) == 16
    for record, example in zip(scenes(dataset), examples, strict=True):
        assert (record.video, record.track_id, record.label, record.group) == (
            example.video,
            example.track_id,
            example.label,
            example.group,
        )
        assert record.split is (Split.VAL if example.split is Split.VAL else Split.TRAIN)
        np.testing.assert_array_equal(record.read(), example.stack())
        np.testing.assert_array_equal(np.array(record.box, np.float32), example.box)
    assert dataset.records[-1].path.relative_to(work).as_posix() == f"tracks/street/{RIGHT:05d}/000040"
    assert len({record.path for record in dataset.records}) == 16


def test_each_picture_is_kept_once_however_many_clips_and_people_show_it(work: Path, tmp_path: Path) -> None:
    dataset = cut(work, tmp_path)
    (file,) = tmp_path.glob(f"street-*/{PICTURES_FILE}")
    assert file.stat().st_size == 40 * 32 * 32 * 3  # of 16 clips with 9 pictures each
    assert {record.file for record in scenes(dataset)} == {file}


def test_people_seen_for_a_shorter_time_share_pictures_with_the_others(work: Path, tmp_path: Path) -> None:
    whole, short = cut(work, tmp_path), cut_scenes(read_scenes(work), SHAPE, HOP, tmp_path, quiet, shortest=3)
    assert len(short.records) > len(whole.records)
    first, *_ = scenes(short)
    assert first.pictures == (0, 1, 2, 1, 0, 1, 2, 1, 0) and first.range == (1, 0, 0)
    assert {file.stat().st_size for file in tmp_path.glob(f"street-*/{PICTURES_FILE}")} == {40 * 32 * 32 * 3}


def test_newer_pictures_that_are_shown_first_are_kept_once() -> None:
    kept: list[bytes] = []
    numbers, pictures = scene_store._Numbers(kept.append), [np.full((1, 1, 3), value, np.uint8) for value in range(4)]
    assert numbers([pictures[3]] * 4) == (0,) * 4
    assert numbers(pictures) == (1, 2, 3, 0)
    assert numbers([pictures[2], pictures[3]] * 2) == (3, 0) * 2
    assert len(kept) == 4


def test_other_labels_and_splits_need_no_new_cut_but_other_ranges_and_shapes_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, root = make_scene_work(tmp_path / "work"), tmp_path / "kept"
    first = cut(work, root)
    cuts: list[str] = []
    examples_of = scene_examples_module.examples_of

    def noted(*arguments: Any) -> Any:
        cuts.append(arguments[0].name)
        return examples_of(*arguments)

    monkeypatch.setattr(scene_store, "examples_of", noted)
    table = read_labels(work / LABELS_FILE)
    write_labels(work / LABELS_FILE, [replace(row, label=row.label.upper(), split=Split.TEST) for row in table])
    again = cut(work, root)
    assert not cuts
    assert {record.label for record in again.records} == {"STANDING", "WALKING"}
    assert {record.split for record in again.records} == {Split.TEST}
    assert [record.path for record in again.records] == [record.path for record in first.records]
    write_labels(work / LABELS_FILE, [row for row in table if row.track == RIGHT])
    assert {record.track_id for record in cut(work, root).records} == {RIGHT}
    assert len(cut(work, root, hop=8).records) < 7
    assert cuts == ["street"] * 2


def test_an_interrupted_cut_leaves_nothing(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> object:
        yield from list(scene_examples(work, rows(), SHAPE, hop=HOP))[:3]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scene_store, "examples_of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cut(work, tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(cut(work, tmp_path).records) == 16


def test_damaged_pictures_or_clips_name_the_file(work: Path, tmp_path: Path) -> None:
    record = scenes(cut(work, tmp_path))[-1]
    record.file.write_bytes(record.file.read_bytes()[: 12 * 32 * 32 * 3])
    with pytest.raises(DatasetError, match=rf"{PICTURES_FILE} cannot be read"):
        record.read()
    (record.file.parent / CLIPS_FILE).write_text("[{}]")
    with pytest.raises(DatasetError, match=rf"{CLIPS_FILE} cannot be read"):
        cut(work, tmp_path)


def test_read_scenes_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="actoscope dataset extract VIDEOS --work"):
        read_scenes(tmp_path)
    work = make_scene_work(tmp_path)
    table = work / LABELS_FILE
    write_labels(table, [replace(row, label="") for row in rows()])
    with pytest.raises(DatasetError, match="has no row with a label"):
        read_scenes(work)
    write_labels(table, [replace(row, clip="elsewhere") for row in rows()])
    with pytest.raises(DatasetError, match="labels of videos that are not extracted: elsewhere"):
        read_scenes(work)
    table.unlink()
    with pytest.raises(DatasetError, match="actoscope dataset label"):
        read_scenes(work)
