"""benchmarks/annotating.py: what is read from a run's messages, how it is shown, and a real run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks import annotating, document
from benchmarks.live import PAGE
from benchmarks.live_cameras.rows import NATIVE
from tests.support.places import REPOSITORY

RESULT = {
    "row": "people-5, light, 2 cores, native",
    "cpu": "2 cores of a test",
    "seconds": 20.0,
    "wall_s": 12.5,
    "cpu_s": 18.0,
    "boxes": 200,
    "labelled": 190,
    "ids": 7,
}


def messages(*people: Sequence[tuple[int, str | None]]) -> Iterator[str]:
    """One line a frame, with other messages between them."""
    yield json.dumps({"type": "stream", "state": "running"})
    for frame in people:
        yield json.dumps({"type": "tracks", "tracks": [{"track_id": who, "action": does} for who, does in frame]})
        yield json.dumps({"type": "action", "action": "Walking"})


def test_told_counts_boxes_labels_and_ids_of_tracks_alone() -> None:
    said = annotating.told(messages([(1, None)], [(1, "Walking"), (2, None)], [], [(1, "Walking")]))
    assert said == annotating.Told(boxes=4, labelled=2, ids=2)
    assert annotating.told(messages()) == annotating.Told(0, 0, 0)


def test_table_tells_how_many_times_real_time_and_rows_that_failed_say_why() -> None:
    failed = {**{key: RESULT[key] for key in ("row", "cpu", "seconds")}, "problem": "exit status 1"}
    rows = annotating.markdown([RESULT, failed]).splitlines()
    assert rows[2].split(" | ")[2:] == ["1.60", "12.5 for 20", "0.90", "95%", "7 |"]
    assert "none: exit status 1" in rows[3] and rows[3].count("|") == rows[2].count("|")


def test_recorded_table_stands_in_the_document() -> None:
    text = PAGE.read_text("utf-8")
    rows = json.loads((REPOSITORY / "benchmarks" / "results" / "annotating.json").read_text("utf-8"))["rows"]
    assert document.with_table(text, annotating.markdown(rows), annotating.MARKS) == text
    assert not [row["row"] for row in rows if row.get("problem")]


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_a_run_is_measured_on_the_real_command(tmp_path: Path) -> None:
    found = annotating.measured(annotating.Row("light", 1, NATIVE), 3.0, tmp_path / "cache")
    assert "problem" not in found
    assert found["wall_s"] > 0 and found["cpu_s"] > 0
    assert 0 < found["labelled"] <= found["boxes"] and found["ids"] >= 1
