"""The pure parts of benchmarks/voices.py: what is cut around whom, skeletons, folds, and the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tiers import FOLDS, SEED
from benchmarks.voice import skeletons
from benchmarks.voice.answers import Study
from benchmarks.voice.features import feature_file
from benchmarks.voice.networks import CHANNELS, ENDPOINTS, part
from benchmarks.voice.people import partner
from benchmarks.voice.regression import Task, answers, regression, together
from benchmarks.voice.rows import BASE, NEAR, ROWS, VIEWS, VOICES
from benchmarks.voice.table import figures, markdown, with_earlier
from benchmarks.voice.temporal import TemporalNetwork, temporal
from benchmarks.voice.views import View, own_boxes, pair_boxes, still_boxes
from benchmarks.voices import DOCS, MARKS
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.data.tracks.ways import LabelledWay
from models.training.run.cross_validation import grouped_folds
from pipeline.motion import Way

LABELS = ("Fighting", "Standing", "Walking", "Other")


def boxes(left: float, speed: float = 0.0, samples: int = 50) -> np.ndarray:
    at = left + speed * np.arange(samples)
    return np.stack([at, np.zeros(samples), at + 50, np.full(samples, 100.0)], axis=1)


def person(way: Way, name: str = "a", label: str = "Standing", group: str = "g") -> LabelledWay:
    record = ClipRecord(Path(f"{name}.mkv"), label, group, Split.TRAIN)
    return LabelledWay(record, Path("v.mp4"), np.arange(1, len(way.boxes) + 1), way)


def test_somebody_in_reach_for_long_is_a_partner_and_is_cut_with_the_person() -> None:
    near, far = boxes(60), boxes(400)
    near[:10] = np.nan
    way = Way(boxes(0), np.stack([far, near]))
    found = partner(way)
    assert found is not None and (found[:, 0] == 60).all()  # also while out of sight
    assert (pair_boxes(person(way)) == [0, 0, 110, 100]).all()


def test_person_in_reach_of_nobody_is_cut_wide() -> None:
    for others in (np.zeros((0, 50, 4)), boxes(400)[None]):
        way = Way(boxes(0), others)
        assert partner(way) is None
        assert pair_boxes(person(way))[0].tolist() == [-20, -20, 70, 120]


def test_still_square_holds_the_whole_way_up_to_its_limit() -> None:
    short, long = (still_boxes(person(Way(boxes(0, speed), np.zeros((0, 50, 4))))) for speed in (1.0, 100.0))
    assert (short == [0, 0, 99, 100]).all()
    assert (long == long[0]).all() and long[0, 2] - long[0, 0] == pytest.approx(400)


@pytest.mark.parametrize(("samples", "ends", "count"), [(49, True, 1), (200, True, 3), (200, False, 1)])
def test_windows_are_as_long_as_asked_and_none_comes_twice(samples: int, ends: bool, count: int) -> None:
    view = View(own_boxes, ends=ends)
    found = view.windows(person(Way(boxes(0, samples=samples), np.zeros((0, samples, 4)))))
    assert len(found) == count and {len(window) for window in found} == {view.length}


def test_means_of_depths_are_taken_in_their_order() -> None:
    rows = np.stack([np.repeat(np.arange(3), CHANNELS), np.full(sum(CHANNELS), 9)])[None]
    last = part(rows.astype(np.float16), ENDPOINTS[-1:])
    assert last.shape == (1, CHANNELS[-1]) and (last == 2).all()
    assert part(rows.astype(np.float16), ENDPOINTS).shape == (1, sum(CHANNELS))


def skeleton(lean: float = 0.0) -> np.ndarray:
    """(36, 17, 3): somebody upright in the middle, all joints seen."""
    joints = np.zeros((36, 17, 3))
    joints[..., 0], joints[..., 2] = 0.5, 1.0
    for index, height in ((5, 0.3), (6, 0.3), (11, 0.55), (12, 0.55), (15, 0.95), (16, 0.95)):
        joints[:, index, 1] = height
    joints[:, 5, 0], joints[:, 6, 0] = 0.45 + lean, 0.55 + lean
    return joints


def test_skeletons_are_told_apart_by_posture_not_by_side() -> None:
    upright, left, right = (skeletons.statistics(skeleton(lean), 2.0) for lean in (0.0, -0.2, 0.2))
    assert np.isfinite(upright).all() and upright.shape == left.shape
    assert np.abs(left - upright).max() > 0.3
    assert skeletons.statistics(skeletons.mirrored(skeleton(0.2)), 2.0)[17:] == pytest.approx(left[17:], abs=1e-6)
    assert right.shape == left.shape


def test_nobody_seen_gives_zeros_and_no_warning() -> None:
    with np.errstate(all="raise"):
        assert (skeletons.statistics(np.zeros((36, 17, 3)), 2.0)[:18] == 0).all()


def test_joints_in_time_are_told_against_the_hips_and_not_where_they_were_not_seen() -> None:
    here = skeleton()
    there = here.copy()
    there[..., :2] = 0.2 + there[..., :2] / 2  # smaller, and elsewhere in the crop
    told = skeletons.sequence(here).reshape(36, 17, 3)
    assert told == pytest.approx(skeletons.sequence(there).reshape(36, 17, 3))
    assert told[0, 5] == pytest.approx([-0.2, -1.0, 1.0])  # a shoulder, one trunk above the hips
    here[3, 5, 2] = skeletons.SEEN / 2
    assert (skeletons.sequence(here).reshape(36, 17, 3)[3, 5] == 0).all()
    assert (skeletons.sequence(np.zeros((36, 17, 3))) == 0).all()


def test_temporal_network_tells_what_statistics_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrists go up, or down by the same way."""
    monkeypatch.setattr("benchmarks.voice.temporal.SEEDS", 1)
    rows, targets = [], np.arange(96) % 2
    for number, target in enumerate(targets):
        joints = skeleton()
        heights = np.linspace(0.2, 0.6, 36) + 0.01 * (number % 8)
        joints[:, 9:11, 1] = (heights[::-1] if target else heights)[:, None]
        rows.append(joints)
    up, down = (skeletons.statistics(rows[number], 2.0) for number in range(2))
    assert np.abs(up - down).max() < 0.1
    shown = [np.stack([skeletons.sequence(each), skeletons.sequence(skeletons.mirrored(each))]) for each in rows]
    folds = [np.arange(start, start + 48) for start in (0, 48)]
    said = answers(temporal, shown, Task(targets, 2, folds))
    assert (said.argmax(axis=1) == targets).mean() > 0.9


def test_temporal_network_wants_as_many_rows_of_each_clip() -> None:
    with pytest.raises(ValueError, match="as many rows"):
        TemporalNetwork({0: 1.0, 1: 1.0}).fit(np.zeros((3, 51)), np.array([0, 1, 1]), np.array([1.0, 0.5, 0.5]))


def test_mosaic_gives_each_cell_its_own_person() -> None:
    found = np.zeros((56, 2), np.float32)
    cell = skeletons.CELL
    found[:5, 0] = 0.5 * cell, 0.5 * cell, 0.4 * cell, 0.8 * cell, 0.9
    found[:5, 1] = 1.5 * cell, 1.5 * cell, 0.4 * cell, 0.8 * cell, 0.8
    found[5::3], found[6::3], found[7::3] = found[0], found[1], 1.0
    people = skeletons._people(found)
    assert [bool(each.any()) for each in people] == [True, False, False, False, True, False, False, False, False]
    assert people[4][0] == pytest.approx([0.5, 0.5, 1.0])


def study(tmp_path: Path) -> Study:
    """Forty people in ten groups; the features of the view near say their class, with noise."""
    rng, people, records = np.random.default_rng(0), {}, []
    for number in range(40):
        label = LABELS[number % 4]
        each = person(Way(boxes(0), np.zeros((0, 50, 4))), f"p{number}", label, f"g{number // 4}")
        people[f"v{number}"] = [each]
        records.append(each.record)
        rows = rng.normal(0, 1, (2, 2, sum(CHANNELS))) + 3 * np.eye(4)[number % 4].repeat(sum(CHANNELS) // 4)
        file = feature_file(tmp_path, NEAR, each)
        file.parent.mkdir(exist_ok=True)
        np.save(file, rows.astype(np.float16))
    dataset = Dataset(Path(), DatasetInfo(class2label=class2label(LABELS)), tuple(records))
    return Study(dataset, people, tmp_path, {})


def test_voice_answers_for_people_of_groups_that_it_did_not_learn_from(tmp_path: Path) -> None:
    found = study(tmp_path)
    folds = grouped_folds(found.records, found.task.targets.tolist(), FOLDS, SEED)
    assert all((ours == theirs).all() for ours, theirs in zip(found.task.folds, folds, strict=True))
    said = found.said("near-looks")
    assert said is not None and (said.argmax(axis=1) == found.task.targets).mean() > 0.9
    assert found.said("pair") is None and found.said("full") is None  # not computed
    assert found.together(("near", "pair")) is None


def test_learner_never_sees_what_it_answers() -> None:
    """One clip a class lies in each fold, with a feature that is the label, turned round in one fold."""
    targets = np.arange(40) % 2
    shown = np.where(np.arange(40) < 8, 1 - targets, targets)
    folds = [np.arange(start, start + 8) for start in range(0, 40, 8)]
    said = answers(regression(1.0), [np.array([[value]]) for value in shown], Task(targets, 2, folds))
    assert (said[:8].argmax(axis=1) != targets[:8]).all()


def test_voices_count_alike_whatever_their_logits_sum_to() -> None:
    one, two = np.log([[0.9, 0.1]]), np.log([[0.2, 0.8]])
    both = together([one + 7, two - 3])
    assert both == pytest.approx(together([one, two]))
    assert both.argmax() == 0 or both[0, 0] == pytest.approx(np.log(0.9 * 0.2) / 2)


def test_every_row_has_voices_that_exist_and_views_that_can_be_cut() -> None:
    assert BASE in ROWS
    networks = {"full", "light"}
    for row in ROWS.values():
        assert set(row.voices) <= {*VOICES, *networks}
    assert {view for voice in VOICES.values() for view in voice.views} <= set(VIEWS)


def test_table_says_what_was_not_run_and_what_it_differs_from(tmp_path: Path) -> None:
    given = study(tmp_path)
    base, other = given.together(("near",)), given.together(("near-looks",))
    assert base is not None and other is not None
    rows: dict[str, Any] = {BASE: figures(base, None), "near-looks": figures(other, base)}
    text = markdown({"labels": list(LABELS), "rows": rows, "machine": {"cpu": "a processor"}})
    lines = text.splitlines()
    assert f"**{ROWS[BASE].label}** (base)" in lines[2] and lines[2].split(" | ")[4] == ""
    assert text.count("not run") == len(ROWS) - 2
    assert lines[-1].startswith("40 held-out clips of five folds, a processor")


def test_rows_that_were_measured_before_on_as_many_clips_stay_where_nothing_newer_is_there() -> None:
    old, new, fewer = {"clips": 9, "was": "old"}, {"clips": 9, "was": "new"}, {"clips": 8}
    before = {"labels": list(LABELS), "rows": {"wide": old, BASE: old, "pair": fewer}}
    now: dict[str, Any] = {"labels": list(LABELS), "rows": {"head": new, BASE: new}}
    assert list(with_earlier(now, before)["rows"].items()) == [(BASE, new), ("wide", old), ("head", new)]
    assert with_earlier(now, before | {"labels": ["Falling"]})["rows"] == now["rows"]  # of other classes


def test_document_has_a_place_for_the_table() -> None:
    assert all(mark in DOCS.read_text("utf-8") for mark in MARKS)
