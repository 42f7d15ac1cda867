"""benchmarks/first_labels.py: what it makes of the pictures that a page drew, and its table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import first_labels
from benchmarks.first_labels import Drawn, Times, markdown, times


def pictures(*people: dict[int, bool], each_s: float = 1.0) -> list[Drawn]:
    """One after the other, the first at 100 s."""
    return [Drawn(100.0 + each_s * number, labelled) for number, labelled in enumerate(people)]


def test_times_begin_with_the_first_picture():
    seen = times(pictures({}, {1: False}, {1: True}, {1: True}, {1: True}, {1: True}), began_s=94.0)
    assert seen == Times(picture_s=6.0, label_s=2.0, everybody_s=5.0, people=1)


def test_everybody_means_all_who_are_in_view_for_long_in_one_picture():
    drawn = pictures(
        {1: True, 2: False}, {1: True, 2: False}, {1: True, 2: False}, {1: True, 2: False},
        {1: True, 2: False}, {1: False, 2: True}, {1: True, 2: True, 3: False},
    )  # fmt: skip
    assert times(drawn, 100.0) == Times(0.0, 0.0, 6.0, 2), "the third has just come"


def test_who_was_away_is_new_again():
    drawn = pictures({1: False}, {1: False}, {}, {1: True}, {1: True}, {1: True}, {1: True})
    assert times(drawn, 100.0).everybody_s is None
    assert times([*drawn, Drawn(106.5, {1: True})], 100.0).everybody_s == 6.5


def test_page_without_pictures_or_labels_has_no_times():
    assert times([], 0.0) == Times()
    assert times(pictures(*[{1: False}] * 9), 99.0) == Times(picture_s=1.0)
    assert times(pictures(*[{}] * 9), 99.0) == Times(picture_s=1.0), "nobody is not everybody"


def run(label_s: float | None, everybody_s: float | None) -> dict[str, float | None]:
    return {"picture_s": 2.0, "label_s": label_s, "everybody_s": everybody_s, "people": 3}


def test_table_has_medians_with_least_and_most_and_a_run_without_labels_counts():
    result = {"row": "sample ×1", "cpu": "some", "runs": [run(1.5, None), run(2.512, 4.0), run(0.9, 5.0)]}
    (line,) = markdown([result]).splitlines()[2:]
    assert line == "| sample ×1 | some | 2 (2 … 2) | 1.5 (0.9 … 2.51) | 5 (4 … never) | 3 (3 … 3) |"
    assert "| 1.5 | 4 |" in markdown([{**result, "runs": [run(1.5, 4.0)]}])
    assert "none: AssertionError: it ended" in markdown([{**result, "problem": "AssertionError: it ended"}])


@pytest.mark.alone
@pytest.mark.exhaustive
def test_sample_is_watched_as_a_new_user_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    results, picture = tmp_path / "first_labels.json", tmp_path / "page.png"
    first_labels.main(["--repeats", "1", "--patience", "240", "--json", str(results), "--screenshot", str(picture)])
    (row,) = json.loads(results.read_text())["rows"]
    (seen,) = row["runs"]
    assert 0 < seen["label_s"] <= seen["everybody_s"] and seen["people"] > 0
    assert picture.stat().st_size > 10_000
    assert f"| {row['row']} |" in capsys.readouterr().out
