"""Verdicts read from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.retraining.corrections import cameras, read_corrections
from tests.models.retraining.world import GATE, HOUR, START, YARD, Verdicts


def test_corrections_are_read_oldest_first_with_their_clips(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    verdicts.add(YARD, "Walking", audit=True, near_threshold=True)
    verdicts.add(GATE, "Standing", superseded_by="ver_1")
    first, second = read_corrections(tmp_path).corrections
    assert (first.camera, first.label, first.audit, first.near_threshold) == ("Yard", "Walking", True, True)
    assert (first.at, first.person, first.superseded) == (START + HOUR, (YARD.id, 1), False)
    assert (second.superseded, second.audit, second.group) == (True, False, f"{GATE.id}/evt_{2:016x}")
    assert first.clip == tmp_path / first.id / "clip.mp4"
    assert cameras([first, second]) == {YARD.id: "Yard", GATE.id: "Gate"}


def test_corrections_of_a_folder_that_is_not_there_are_none(tmp_path: Path) -> None:
    assert read_corrections(tmp_path / "none").corrections == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "../../elsewhere"}, "id: "),  # it becomes the name of a file
        ({"split": "test"}, "split: "),
        ({"started_at": "yesterday"}, "started_at: "),
        ({"started_at": "2026-05-04T03:02:01"}, "started_at: "),  # of which zone?
        ({"verdict": "unsure"}, "verdict: "),  # has no label, so the service stores no folder of it
        ({"sha256": "0"}, "sha256: "),
    ],
)
def test_correction_that_is_none_is_told_and_left_out(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    verdicts = Verdicts(tmp_path)
    kept = verdicts.add(GATE, "Standing")
    wrong = verdicts.add(GATE, "Standing", **changes)
    found = read_corrections(tmp_path)
    assert [each.id for each in found.corrections] == [kept]
    assert [f"{wrong}/label.json cannot be read: {words}" in line for line in found.unreadable] == [True]


def test_correction_written_half_and_what_is_hidden_are_no_corrections(tmp_path: Path) -> None:
    (tmp_path / ".part").mkdir()
    (tmp_path / "ver_half").mkdir()
    found = read_corrections(tmp_path)
    assert found.corrections == ()
    assert found.unreadable == (f"{tmp_path}/ver_half/label.json cannot be read: No such file or directory",)
