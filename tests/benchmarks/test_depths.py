"""The pure parts of benchmarks/depths.py: its rows, its figures, and its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import depths
from benchmarks.depths import (
    BASE,
    BOXES,
    DOCS,
    LAST_WIDTH,
    MARKS,
    ROWS,
    THREE,
    TRAINED,
    Options,
    markdown,
    report_of,
)
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.training.run.checks import config_problems
from tests.support.places import REPOSITORY

LABELS = ("Fighting", "Standing", "Walking", "Other")


@pytest.fixture
def dataset() -> Dataset:
    records = tuple(
        ClipRecord(Path(f"{number}.mkv"), LABELS[number % 4], f"g{number // 4}", Split.TRAIN) for number in range(40)
    )
    return Dataset(Path(), DatasetInfo(class2label=class2label(LABELS)), records)


def answers(dataset: Dataset, wrong: int) -> np.ndarray:
    """Logits that call the first ``wrong`` people what they are not."""
    said = np.asarray(dataset.targets(dataset.records))
    said[:wrong] = (said[:wrong] + 1) % 4
    return 4.0 * np.eye(4)[said]


def test_rows_can_be_trained() -> None:
    for name in TRAINED:
        config = ROWS[name].config
        assert config is not None and config.network.depths in (THREE.depths, THREE.depths[-1:])
        problems = [text for text in config_problems(config, REPOSITORY / "weights") if "start from" not in text]
        assert not problems, (name, problems)


def test_rows_are_compared_with_the_first_and_with_themselves_without_boxes(dataset: Dataset) -> None:
    moved = np.log(np.full((40, 4), 0.01) + 0.96 * np.eye(4)[dataset.targets(dataset.records)])
    report = report_of({BASE: answers(dataset, 12), "three": answers(dataset, 4)}, moved, dataset)
    rows = report["rows"]
    assert set(rows) == {"boxes", *(name + ending for name in (BASE, "three") for ending in ("", BOXES))}
    assert rows[BASE]["difference"] is None and rows["three"]["difference"][0] == pytest.approx(0.2, abs=0.01)
    assert rows["three"]["macro_f1"][0] == pytest.approx(0.9, abs=0.01)
    assert rows[BASE + BOXES]["to_alone"][0] >= 0
    assert report["clips"] == 40


def test_row_of_the_last_depth_takes_its_part_of_what_is_kept_of_three(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depths, "_kept_in", lambda config, *_: tmp_path / str(len(config.network.depths)))
    (tmp_path / "3").mkdir()
    np.save(tmp_path / "3" / "a.npy", np.arange(2368, dtype=np.float16).reshape(1, 1, 1, -1))
    depths.share_features(dataset, Options(tmp_path, tmp_path, tmp_path, draws=1))
    kept = np.load(tmp_path / "1" / "a.npy")
    assert kept.shape == (1, 1, 1, LAST_WIDTH) and kept[0, 0, 0, 0] == 2368 - LAST_WIDTH


def test_rows_of_other_clips_or_draws_are_not_kept() -> None:
    now: dict[str, Any] = {"labels": ["a"], "clips": 5, "draws": 1, "rows": {"three": "new"}}
    before = {**now, "rows": {"three": "old", "last": "old"}}
    assert depths.with_earlier(now, before)["rows"] == {"three": "new", "last": "old"}
    assert depths.with_earlier(now, before | {"draws": 2})["rows"] == {"three": "new"}


def test_table_says_what_was_not_run(dataset: Dataset) -> None:
    moved = np.zeros((40, 4))
    report = report_of({"three": answers(dataset, 4)}, moved, dataset) | {"draws": 2, "machine": {"cpu": "a processor"}}
    text = markdown(report)
    assert text.count("not run") == 2 * (len(ROWS) - 1)
    assert text.splitlines()[-1] == (
        "40 held-out clips of 5 folds, 2 draws of each clip learnt from where no other is named, a processor."
    )


def test_document_has_a_place_for_the_table() -> None:
    assert all(mark in DOCS.read_text("utf-8") for mark in MARKS)
