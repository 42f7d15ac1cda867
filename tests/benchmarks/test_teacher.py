"""The pure parts of benchmarks/teacher.py: rows differ in the teacher alone, the table says what was not run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import teacher, tiers
from benchmarks.teacher import BASE, DOCS, MARKS, ROWS, SURE, markdown, report_of, unclear
from models.configs.surveillance_light import CONFIG as LIGHT
from models.data.manifest import ClipRecord, Split
from models.evaluation.figures.predictions import Predictions
from models.training.run.checks import config_problems
from tests.support.places import REPOSITORY

LABELS = ("Fighting", "Standing", "Walking", "Other")


def answers(wrong: int) -> Predictions:
    """Forty people of ten source videos, the first ``wrong`` of them called what they are not."""
    records = tuple(
        ClipRecord(Path(f"{number}.mkv"), LABELS[number % 4], f"g{number // 4}", Split.TRAIN) for number in range(40)
    )
    targets = np.arange(40) % 4
    said = np.where(np.arange(40) < wrong, (targets + 1) % 4, targets)
    return Predictions(LABELS, records, 4.0 * np.eye(4)[said], targets)


def test_rows_can_be_trained_and_differ_in_the_teacher_alone() -> None:
    for name, row in ROWS.items():
        problems = [text for text in config_problems(row.config, REPOSITORY / "weights") if "start from" not in text]
        assert not problems, (name, problems)
        assert replace(row.config, distil=None) == replace(LIGHT, distil=None), name
    assert ROWS[BASE].config.distil is None and ROWS["all"].config == LIGHT
    asked = [row.config.distil.trust for row in ROWS.values() if row.config.distil and row.config.distil.trust]
    assert [trust.chance for trust in asked] == list(SURE)


def test_rows_are_compared_with_labels_alone() -> None:
    rows = report_of({BASE: answers(12), "all": answers(4)})["rows"]
    assert rows[BASE]["difference"] is None
    assert rows["all"]["difference"][0] == pytest.approx(0.2, abs=0.01)
    assert rows["all"]["macro_f1"][0] == pytest.approx(0.9, abs=0.01)


def test_fold_counts_when_its_unclear_people_are_written(tmp_path: Path) -> None:
    options = tiers.Options(tmp_path, tmp_path, tmp_path, tmp_path)
    (tiers.fold_folder("all", 2, options) / "unclear.json").write_text('{"unclear": 37}')
    assert unclear("all", [1, 2], options) == [37]
    assert unclear("all", [2], options) == [37]


def test_table_says_how_many_unclear_people_were_learnt_and_what_was_not_run() -> None:
    found: dict[str, Any] = report_of({BASE: answers(12), "sure-0.9": answers(4)})
    found["rows"][BASE]["unclear"], found["rows"]["sure-0.9"]["unclear"] = [0, 0], [31, 44]
    text = markdown(found | {"machine": {"cpu": "a processor"}, "folds": [1, 2], "labels": list(LABELS)})
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines()}
    assert text.count("not run") == len(ROWS) - 2
    assert lines[ROWS[BASE].label].split(" | ")[1] == "0"
    assert lines[ROWS["sure-0.9"].label].split(" | ")[1] == "31 to 44"
    assert text.splitlines()[-1] == "Folds 1, 2, 40 held-out clips, a processor."


def test_document_has_a_place_for_the_table() -> None:
    assert all(mark in DOCS.read_text("utf-8") for mark in MARKS)


def test_a_row_that_is_done_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fold of every row is there: nothing is learnt, and the table comes from what was kept."""
    options = tiers.Options(tmp_path, tmp_path, tmp_path, tmp_path)
    for name in ROWS:
        (tiers.fold_folder(name, 1, options) / "unclear.json").write_text('{"unclear": 5}')
    monkeypatch.setattr(teacher, "learn", lambda *_: pytest.fail("a fold that is done was trained again"))
    monkeypatch.setattr(teacher, "read_dataset", lambda _: type("D", (), {"labels": LABELS})())
    monkeypatch.setattr(tiers, "known_part", lambda dataset: dataset)
    monkeypatch.setattr(tiers, "answers", lambda *_: answers(4))
    output = tmp_path / "teacher.json"
    monkeypatch.setattr(
        "sys.argv",
        ["teacher.py", "--data", str(tmp_path), "--work", str(tmp_path), "--folds", "1", "--output", str(output)],
    )
    assert teacher.main() == 0
    assert '"unclear": [\n' in output.read_text("utf-8")
