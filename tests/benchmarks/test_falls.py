"""The pure parts of benchmarks/falls.py: what counts as a fall found and as a false one, who judges whom, the table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import falls
from benchmarks.fall_events.boxes import beside
from benchmarks.fall_events.heads import Head, divided, fold_of, read_head
from benchmarks.fall_events.judging import LATE_S, Counts, Fall, judged, poisson_upper, read_falls, run_of, wilson
from benchmarks.fall_events.regression import Segment, Windows, label_of, read_segments, regressions
from benchmarks.falls import FALLS, LABELS, SEGMENTS, SUBJECTS, TIERS, fold_of_videos, markdown
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.training.run.checks import config_problems
from models.weights.cards import ModelInput
from pipeline.actions import SmootherConfig
from pipeline.motion import FEATURES, POSTURE
from pipeline.motion_voice import MotionHead
from tests.support.places import REPOSITORY

HOP_S, FPS = 0.5, 10
KINDS = ("Falling", "Lying", "Walking")
SMOOTHER = SmootherConfig(time_constant_s=0.01, on=0.5, off=0.4, min_duration_s=0.0)


def arrays_of(clips: int, track_id: int = 1) -> dict[str, Any]:
    """One person in view throughout, with an answer every ``HOP_S``."""
    ends = np.arange(1, clips + 1) * HOP_S
    frames = np.arange(int(ends[-1] * FPS) + 1)
    boxes = [(frame, track_id, 0, 0, 10, 20, 0) for frame in frames]
    return {
        "times_s": frames / FPS,
        "boxes": np.asarray(boxes, np.float32),
        "light.track_id": np.full(clips, track_id),
        "light.start_s": ends - HOP_S,
        "light.end_s": ends,
        "light.filled": np.full(clips, 16),
        "light.provisional": np.zeros(clips, bool),
    }


def said(*chances: float) -> Any:
    """→ a run whose clips say Falling with these probabilities, else Walking."""
    rows = [[chance, 1 - chance] for chance in chances]
    return run_of("video", arrays_of(len(rows)), "light", ("Falling", "Walking"), np.asarray(rows))


def test_a_fall_is_found_once_and_its_delay_counts_from_its_start() -> None:
    counts = judged(said(0, 0, 0.9, 0, 0.9, 0, 0), [Fall(1.0, 2.0)], SMOOTHER)
    assert (counts.falls, counts.found, counts.false) == (1, 1, 0)
    assert counts.delays_s == (0.5,)
    assert counts.f1 == 1.0


def test_an_event_without_a_fall_is_false_and_so_is_one_that_comes_too_late() -> None:
    late = int((1.0 + LATE_S) / HOP_S) + 1
    counts = judged(said(*[0.0] * late, 0.9, 0.0), [Fall(0.0, 1.0)], SMOOTHER)
    assert (counts.found, counts.false) == (0, 1)
    assert judged(said(0, 0.9, 0), [], SMOOTHER).false == 1


@pytest.mark.exhaustive
def test_calm_video_gives_hours_and_no_event() -> None:
    counts = sum([judged(said(*[0.1] * 7200), [], SMOOTHER)], Counts())
    assert counts.false_per_hour == 0
    assert counts.seconds == pytest.approx(3600)
    assert math.isnan(Counts().false_per_hour)


def test_intervals_are_the_published_ones() -> None:
    assert wilson(12, 14) == pytest.approx((0.6006, 0.9599), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    assert poisson_upper(0, 1.0) == pytest.approx(3.689, abs=1e-3)
    assert poisson_upper(3, 2.0) == pytest.approx(8.767 / 2, abs=1e-3)


def test_a_head_says_what_its_layers_say() -> None:
    head = Head(
        np.asarray([[1.0, -1.0], [0.0, 2.0]]), np.asarray([0.5, 0.0]), np.asarray([1.0, 0]), np.asarray([2.0, 1])
    )
    found = head.probabilities(np.asarray([[3.0, 1.0, 99.0]], np.float16))
    logits = np.asarray([1.5, 1.0])
    assert found[0] == pytest.approx(np.exp(logits) / np.exp(logits).sum())


def coming_down(boxes: np.ndarray, begin_s: float, lasts_s: float) -> np.ndarray:
    """→ rows of somebody who stands, comes down within so long and lies, four times as wide against the height."""
    progress = np.clip((boxes[:, 0] / FPS - begin_s) / lasts_s, 0, 1)
    boxes[:, 3], boxes[:, 4], boxes[:, 5] = 150 * progress, 50 + 150 * progress, 200
    return boxes


def test_boxes_speak_about_clips_in_which_enough_of_them_are_known() -> None:
    arrays = arrays_of(10)
    coming_down(arrays["boxes"], 2.5, 0.5)
    arrays["boxes"] = arrays["boxes"][arrays["boxes"][:, 0] / FPS <= 4.0]  # then the person is lost
    fast = 49 + 7 + 4  # of the middle, downward: the fastest
    row = tuple(6.0 if feature == fast else 0.0 for feature in range(FEATURES + POSTURE))
    head = MotionHead(
        ("Falling", "Walking"), (0.0,) * len(row), (1.0,) * len(row), (row, (0.0,) * len(row)), (-3.0, 0.0)
    )
    answers = np.full((10, 2), 0.5)
    told = beside(head, arrays, "light", answers)[:, 0]
    assert (told[:4] < 0.3).all() and told[5] > 0.7, "who stands does not fall, who comes down does"
    assert (told[8:] == 0.5).all(), "nothing is known of the boxes there"


def test_a_head_is_that_of_the_network_in_the_folder(tiny_folder: Path) -> None:
    head = read_head(tiny_folder)
    assert head.weights.shape[1] == len(head.bias) > 1
    assert head.mean.shape == head.spread.shape == head.weights.shape[:1]


def test_each_subject_is_held_out_once_with_a_share_of_the_other_sources() -> None:
    groups = (*SUBJECTS, *(f"camera-{number}" for number in range(10)))
    records = tuple(ClipRecord(Path(f"{group}.mkv"), "Falling", group, Split.TRAIN) for group in groups)
    info = DatasetInfo(class2label=class2label(("Falling",)), input=ModelInput(margin=0.2))
    dataset = Dataset(Path(), info, records)
    judges = [divided(dataset, fold, SUBJECTS)[1] for fold in range(len(SUBJECTS))]
    assert sorted(record.group for side in judges for record in side) == sorted(groups)
    assert [SUBJECTS[fold] in {record.group for record in side} for fold, side in enumerate(judges)] == [True] * 4
    assert fold_of("camera-0", groups, SUBJECTS) == 0


def test_videos_that_nothing_is_learnt_from_have_no_fold(tmp_path: Path) -> None:
    (tmp_path / "surveillance").mkdir()
    (tmp_path / "surveillance" / "clips.csv").write_text(
        "clip,label,source_group,split\nfi1,Fight,7,train\nno1,No,8,val\n"
    )
    record = ClipRecord(Path("a.mkv"), "Falling", "subject-2", Split.TRAIN, video="s2_fall_12")
    other = ClipRecord(Path("b.mkv"), "Other", "7", Split.TRAIN, video="fi1")
    info = DatasetInfo(class2label=class2label(("Falling", "Other")), input=ModelInput(margin=0.2))
    assert fold_of_videos(Dataset(Path(), info, (record, other)), tmp_path) == {"s2_fall_12": 1, "fi1": 0}


def test_the_falls_lie_where_they_are_labelled() -> None:
    found = read_falls(FALLS)
    assert len(found) == 14
    assert all(0 <= fall.start_s < fall.end_s for own in found.values() for fall in own)


def test_both_networks_can_be_trained_and_know_the_labels() -> None:
    for name, config in TIERS.items():
        problems = [text for text in config_problems(config, REPOSITORY / "weights") if "start from" not in text]
        assert not problems, (name, problems)
    assert LABELS[0] == "Falling"


def test_the_table_has_a_line_for_each_threshold() -> None:
    row = falls._row({"falls": Counts(14, 12, 1, 80.0, (1.5,) * 12), "workout": Counts(seconds=1800.0)})
    curves = {"curve": {"0.5": row, "0.6": row}, "with_boxes": {"0.5": row}}
    text = markdown({"machine": {"cpu": "a CPU"}, "tiers": {"light": curves}})
    assert text.count("12 of 14: 0.86 [0.60, 0.96]") == 3
    assert text.count("| home-light and boxes | 0.5 |") == 1
    assert "0.0 (7.4)" in text and "30.0 minutes" in text


@pytest.mark.parametrize(
    ("start_s", "end_s", "label"),
    [
        (0.0, 1.5, "Standing"),
        (0.0, 2.2, ""),  # the fall has just begun
        (0.5, 3.0, "Falling"),
        (2.0, 4.2, "Falling"),
        (2.5, 5.0, ""),  # the end of a fall, and somebody who lies
        (3.3, 5.8, "Lying"),
    ],
)
def test_a_clip_is_called_by_when_it_ends(start_s: float, end_s: float, label: str) -> None:
    segments = [Segment("Standing", 0.0, 1.8), Segment("Falling", 1.8, 4.0), Segment("Lying", 4.0, 6.0)]
    assert label_of(start_s, end_s, [Fall(2.0, 3.0)], segments) == label


def test_clips_without_a_fall_are_called_by_their_segment() -> None:
    segments = [Segment("Walking", 0.0, 2.0), Segment("Sitting", 2.0, 8.0)]
    assert label_of(0.0, 2.5, [], segments) == "Walking"
    assert label_of(1.0, 3.0, [], segments) == ""
    assert label_of(3.0, 5.5, [], segments) == "Sitting"


def test_a_regression_has_not_seen_its_fold() -> None:
    draw = np.random.default_rng(0)
    groups = np.repeat([*SUBJECTS, "camera"], 20)
    labels = np.resize(KINDS, 100)
    features = (draw.normal(size=(100, 3)) + 4 * (labels[:, None] == np.asarray(KINDS))).astype(np.float32)
    seen = Windows(features, labels, groups, np.ones(100))
    heads = regressions(seen, KINDS, SUBJECTS)
    assert len(heads) == len(SUBJECTS)
    other = regressions(seen.part(groups != "subject-1"), KINDS, SUBJECTS)[0]
    assert np.allclose(heads[0].weights, other.weights)
    right = np.asarray(KINDS)[heads[0].probabilities(features.astype(np.float16)).argmax(axis=1)] == labels
    assert right.mean() > 0.95


def test_every_video_of_falls_has_one_group_and_each_fall_its_segment() -> None:
    segments, found = read_segments(SEGMENTS), read_falls(FALLS)
    assert len(segments) == 23
    assert {group for group, _ in segments.values()} == set(SUBJECTS)
    falling = {video for video, (_, own) in segments.items() if any(each.label == "Falling" for each in own)}
    assert falling == set(found)
