from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.clip_file import ClipFormat
from models.data.manifest import Split
from models.data.tracks.group import GroupConfig, example_lengths, label_of, plan_examples, runs
from models.data.tracks.labels_csv import LabelRow
from models.data.tracks.track_folders import PersonTrack, VideoFacts, VideoTracks
from models.errors import DatasetError


def track(times_s: list[float], coasting_s: list[float] | None = None, track_id: int = 1) -> PersonTrack:
    count = len(times_s)
    return PersonTrack(track_id, np.arange(1, count + 1), np.array(times_s), np.array(coasting_s or [0.0] * count))


def video(*tracks: PersonTrack, fps: float = 25.0) -> VideoTracks:
    facts = VideoFacts(
        source="v.mp4", size_bytes=1, tracks_from="test", margin=0.2, size=32, format=ClipFormat.JPEG, frames=9
    )
    return VideoTracks(Path("work/tracks/v"), facts, fps, tracks)


def even(count: int, fps: float = 25.0) -> list[float]:
    return [index / fps for index in range(count)]


@given(st.integers(1, 2000))
def test_lengths_cover_the_run_and_only_the_last_is_short(samples: int) -> None:
    lengths = example_lengths(samples, 64, 80)
    assert sum(lengths) == samples
    assert all(64 <= length <= 80 for length in lengths[:-1])
    assert lengths[-1] <= 80


@pytest.mark.parametrize(
    ("samples", "lengths"),
    [(10, [10]), (64, [64]), (80, [80]), (81, [64, 17]), (128, [64, 64]), (150, [75, 75]), (200, [67, 67, 66])],
)
def test_lengths_are_even_where_that_works(samples: int, lengths: list[int]) -> None:
    assert example_lengths(samples, 64, 80) == lengths


def test_plan_without_labels_splits_each_track_at_its_gaps() -> None:
    times_s = [*even(70), *(5.0 + time_s for time_s in even(20))]
    plan = plan_examples(video(track(times_s)), None, GroupConfig())
    assert [(item.name, len(item.indices)) for item in plan.examples] == [
        ("v_00001_000001-000070", 70),
        ("v_00001_000071-000090", 20),
    ]
    assert (plan.examples[1].start_s, plan.examples[1].group, plan.examples[1].label) == (5.0, "v", "")


def test_plan_bridges_a_short_loss_by_repeating_the_newest_crop() -> None:
    times_s = [0.0, 0.04, 0.08, 0.28, 0.32]
    (example,) = plan_examples(video(track(times_s)), None, GroupConfig(shortest=1)).examples
    assert example.indices == (0, 1, 2, 2, 2, 2, 2, 3, 4)


@pytest.mark.parametrize(("fps", "frames", "samples"), [(10.0, 40, 99), (60.0, 120, 50)])
def test_plan_of_another_frame_rate_samples_25_a_second(fps: float, frames: int, samples: int) -> None:
    plan = plan_examples(video(track(even(frames, fps)), fps=fps), None, GroupConfig(whole=True))
    assert abs(len(plan.examples[0].indices) - samples) <= 1


def test_plan_native_takes_every_frame_once() -> None:
    (example,) = plan_examples(video(track(even(40, 10.0))), None, GroupConfig(rate_hz=None)).examples
    assert example.indices == tuple(range(40))


def test_plan_follows_the_ranges_of_the_table() -> None:
    rows = [LabelRow("v", 1, 1, 30, "Walking", "cam", Split.TRAIN), LabelRow("v", 1, 31, 60, "Standing")]
    rows += [LabelRow("other", 1, 1, 9, "Walking"), LabelRow("v", 5, 1, 9, "Walking")]
    walking, standing = plan_examples(video(track(even(60))), rows, GroupConfig()).examples
    assert (walking.start_frame, walking.end_frame, walking.label) == (1, 30, "Walking")
    assert (walking.group, walking.split) == ("cam", Split.TRAIN)
    assert (standing.start_frame, standing.end_frame, standing.group) == (31, 60, "v")


def test_plan_whole_keeps_a_row_together_up_to_its_limit() -> None:
    plan = plan_examples(video(track(even(700))), None, GroupConfig(whole=True))
    assert [len(item.indices) for item in plan.examples] == [350, 350]


def test_plan_counts_pieces_that_are_too_short() -> None:
    plan = plan_examples(video(track(even(5)), track(even(9), track_id=2)), None, GroupConfig(shortest=8))
    assert (len(plan.examples), plan.too_short) == (1, 1)


def test_runs_leave_out_the_guesses_behind_the_last_sight() -> None:
    coasting = [0, 0, 0.04, 0, 0.04, 0.08]
    (run,) = runs(track(even(6), coasting), LabelRow("v", 1), 1.0, 25.0)
    assert run.tolist() == [0, 1, 2, 3]


def test_runs_split_where_a_person_coasts_for_too_long() -> None:
    times_s = even(80)
    coasting = [0.0] * 10 + [(index + 1) * 0.04 for index in range(60)] + [0.0] * 10
    first, second = runs(track(times_s, coasting), LabelRow("v", 1), 1.0, 25.0)
    assert (first[-1], second[0]) == (9, 70)


def test_label_of_takes_the_row_that_covers_most() -> None:
    (example,) = plan_examples(video(track(even(70))), None, GroupConfig()).examples
    rows = [LabelRow("v", 1, 1, 20, "Walking"), LabelRow("v", 1, 21, 70, "Standing"), LabelRow("v", 2, 1, 70, "Other")]
    found = label_of(example, rows)
    assert found is not None and found.label == "Standing"
    assert label_of(example, rows[:1]) is None


def test_config_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(DatasetError, match="shortest <= full <= longest"):
        GroupConfig(full=90)
    with pytest.raises(DatasetError, match="above 0"):
        GroupConfig(rate_hz=0)


def test_runs_of_a_video_with_rare_pictures_are_not_split_between_any_two() -> None:
    times_s = [*even(6, fps=0.5), 30.0, 32.0]
    first, second = runs(track(times_s), LabelRow("v", 1), 1.0, 0.5)
    assert (first.tolist(), second.tolist()) == ([0, 1, 2, 3, 4, 5], [6, 7])


def test_runs_of_boxes_drawn_every_two_seconds_of_a_usual_video_are_split_between_any_two() -> None:
    found = runs(track(even(6, fps=0.5)), LabelRow("v", 1), 1.0, 25.0)
    assert [run.tolist() for run in found] == [[0], [1], [2], [3], [4], [5]]
