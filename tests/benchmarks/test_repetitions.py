"""The count of repetitions on real exercise videos: what the script reports, and a floor under it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.repetitions import MARKS, POSE, VIDEOS, Counted, Marked, figures, matched, measure, read_marks
from tests.support.places import REPOSITORY

RESULT = REPOSITORY / "benchmarks" / "results" / "repetitions.json"
FLOOR = ("squats/squat_19.mp4", "push-ups/push-up_42.mp4", "pull-ups/pull-up_14.mp4")  # one of each, 20 s in all


def counted(video: str, *turns_s: float) -> Counted:
    return Counted(video, turns_s, (), (), (), 0, 0, 0.0)


def test_marks_hold_at_least_ten_videos_of_three_exercises_in_order():
    marks = read_marks(MARKS)
    assert len(marks) >= 10 and {each.exercise for each in marks} == {"squat", "push-up", "pull-up"}
    for each in marks:
        assert list(each.turns_s) == sorted(set(each.turns_s)) and each.turns_s, each.video


def test_turns_match_the_nearest_mark_once():
    assert matched([1.0, 2.0], [1.1, 1.9, 2.1]) == 2
    assert matched([1.0, 1.2], [1.1]) == 1
    assert matched([1.0], [2.0]) == 0 and matched([], [1.0]) == 0


def test_figures_of_counts_that_are_exact_short_and_over():
    marks = [Marked(name, "squat", "dev", (1.0, 3.0)) for name in "abc"]
    found = figures(list(zip(marks, [counted("a", 1, 3), counted("b", 1), counted("c", 1, 3, 5)], strict=True)))
    assert (found["videos"], found["repetitions"], found["counted"]) == (3, 6, 6)
    assert found["mae"]["value"] == pytest.approx(2 / 3) and found["exact"]["value"] == pytest.approx(1 / 3)
    assert found["recall"]["value"] == found["precision"]["value"] == pytest.approx(5 / 6)
    assert found["mae"]["low"] <= found["mae"]["value"] <= found["mae"]["high"]


def test_docs_say_what_was_measured():
    report, text = json.loads(RESULT.read_text()), (REPOSITORY / "docs" / "exercises.md").read_text("utf-8")
    for part in ("dev", "test"):
        found = report[part]
        row = " | ".join(
            f"{found[name]['value']:.2f} [{found[name]['low']:.2f}, {found[name]['high']:.2f}]"
            for name in ("mae", "exact", "recall", "precision")
        )
        assert f"| {found['repetitions']} | {found['counted']} | {row} |" in text


@pytest.mark.exhaustive
@pytest.mark.skipif(not (VIDEOS.is_dir() and POSE.is_dir()), reason="../shared has no workout videos or pose network")
@pytest.mark.timeout(600)
def test_floor_one_video_of_each_exercise_is_counted_but_for_one_repetition(tmp_path: Path):
    chosen = [each for each in read_marks() if each.video in FLOOR]
    pairs = measure(VIDEOS, POSE, tmp_path, chosen)
    assert len(pairs) == len(FLOOR)
    assert sum(abs(len(marked.turns_s) - len(found.turns_s)) for marked, found in pairs) <= 1
    assert sum(matched(marked.turns_s, found.turns_s) for marked, found in pairs) >= 8
