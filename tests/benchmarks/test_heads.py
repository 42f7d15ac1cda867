"""benchmarks/heads.py and its parts: what heads learn from, what is kept, how rare fights are judged, what is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from benchmarks import document, heads
from benchmarks.heads import DOCS, PARTS, RATES, Examples, fights_of, head, markdown, marks, so_far
from benchmarks.small_networks.curves import loss_curves, optimiser_curves
from benchmarks.small_networks.learner import batches_of
from benchmarks.small_networks.rare import RECALLS, average_precisions, judged, thinned
from benchmarks.small_networks.tables import loss_table, optimiser_table
from models.training.config import OptimizerConfig, TrainConfig
from models.training.run.losses import FocalLoss
from tests.support.places import REPOSITORY

LARGEST = 100_000  # bytes of a picture in the documents
ROW = {"average_precision": [0.5, 0.4, 0.6], "f1": [0.25, 0.2, 0.3], "recall": [0.2, 0.1, 0.3], "difference": None}


def examples(count: int = 5) -> Examples:
    folds = (np.array([0, 3]), np.setdiff1d(np.arange(count), [0, 3]))
    targets = np.arange(count) % 2
    return Examples(np.zeros((count, 2), np.float32), targets, ("a",) * count, ("Standing", "Fighting"), folds)


def test_folds_learn_from_all_that_they_do_not_hold_out() -> None:
    assert examples().inside(0).tolist() == [1, 2, 4] and examples().inside(1).tolist() == [0, 3]
    assert fights_of(examples()).tolist() == [0, 1, 0, 1, 0]


def test_file_of_as_many_clips_of_each_class_goes_on_and_another_does_not(tmp_path: Path) -> None:
    file = tmp_path / "heads.json"
    assert so_far(file, examples())["clips"] == {"Standing": 3, "Fighting": 2}
    file.write_text(json.dumps(so_far(file, examples()) | {"losses": {"20": {"γ = 0": ROW}}}))
    assert "losses" in so_far(file, examples())
    assert "losses" not in so_far(file, examples(6))
    file.write_text(json.dumps({"losses": {}}))  # a file that does not say of what
    assert "losses" not in so_far(file, examples())


def test_fights_are_thinned_alike_for_every_loss_and_others_all_stay() -> None:
    fights = np.array([1] * 30 + [0] * 40)
    inside = np.arange(5, 70)
    first, again, other = (thinned(inside, fights, 10, [1, draw]) for draw in (0, 0, 1))
    assert (first == again).all() and not np.array_equal(first, other)
    assert fights[first].sum() == 4 and (fights[first] == 0).sum() == 40


def test_fights_are_judged_by_order_and_by_what_is_called_one() -> None:
    margins = np.array([[2.0, -1.0, -2.0, 1.0]], np.float32)
    found = judged(margins, np.array([1, 1, 0, 0]), ("a", "b", "a", "b"))
    assert found["recall"][0] == found["f1"][0] == 0.5
    assert found["average_precision"][0] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert found["recall"][1:] == [0, 1]  # group a has the fight that is found, b the one that is not
    assert found["difference"] is None
    assert found["precision_at"][:10] == [1.0] * 10 and found["precision_at"][-1] == pytest.approx(2 / 3, abs=1e-4)


def test_difference_to_itself_is_nothing_and_to_a_worse_order_is_above() -> None:
    fights, groups = np.array([1, 0] * 6), tuple("abcabcabcabc")
    good = np.where(fights, 1.0, -1.0).astype(np.float32)[None]
    assert judged(good, fights, groups, good)["difference"] == [0, 0, 0]
    assert judged(good, fights, groups, -good)["difference"][1] > 0


def test_average_precision_of_a_replicate_is_that_of_its_examples() -> None:
    rng = np.random.default_rng(3)
    margin, fights = rng.normal(size=40).astype(np.float32), np.arange(40) % 3 == 0
    weights = rng.integers(0, 3, (5, 40)).astype(np.float64)
    found = average_precisions(margin, fights.astype(np.int64), weights)
    expected = [average_precision_score(fights, margin, sample_weight=weight) for weight in weights]
    assert found == pytest.approx(expected)


def test_head_starts_anew_with_every_part_and_tells_of_each_epoch() -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(40) % 2
    seen = (rng.normal(size=(40, 3)) + np.outer(targets, (6, 0, 0))).astype(np.float32)
    plan = TrainConfig("head", optimizer=OptimizerConfig(learning_rate=1e-2), epochs=12, batch_size=8)
    learner = head(3, 2, plan, FocalLoss(), batches_of(40, plan))
    told: list[int] = []
    learner.learn(seen, targets, told.append)
    first = learner.logits(seen)
    assert told == list(range(12)) and (first.argmax(axis=1) == targets).mean() > 0.9
    learner.learn(seen[:20], 1 - targets[:20])
    assert (learner.logits(seen).argmax(axis=1) == targets).mean() < 0.5


def rates() -> dict[str, Any]:
    found = {f"{rate:g}": {"macro_f1": [0.5, 0.4, 0.6]} for rate in RATES}
    return found | {"0.001": {"macro_f1": [0.7, 0.6, 0.8], "by_epoch": [0.3, 0.7]}}


def test_tables_show_the_best_rate_and_every_loss() -> None:
    text = optimiser_table({"10": {"AdamW": rates(), "RAdam": {"0.1": {"macro_f1": [0.2, 0.1, 0.3]}}}})
    assert "**0.700**" in text and text.splitlines()[2].endswith("| 0.700 [0.600, 0.800] |")
    assert text.splitlines()[3].count("not run") == len(RATES) - 1
    assert len({line.count("|") for line in text.splitlines()}) == 1
    lines = loss_table({"20": {"γ = 0": ROW, "γ = 1": ROW | {"difference": [-0.1, -0.2, 0.1]}}}).splitlines()
    assert lines[2] == "| 1 to 20 | γ = 0 | 0.500 [0.400, 0.600] |  | 0.250 [0.200, 0.300] | 0.200 [0.100, 0.300] |"
    assert "| -0.100 [-0.200, +0.100] |" in lines[3] and lines[3].startswith("|  | γ = 1 |")


def test_part_that_was_not_run_says_so_and_another_says_on_what() -> None:
    report = {"clips": {"Fighting": 2, "Standing": 3}, "groups": 4, "machine": {"cpu": "a processor"}}
    assert markdown("losses", report) == markdown("losses", report | {"losses": {}}) == "Not run.\n"
    last = markdown("losses", report | {"losses": {"20": {"γ = 0": ROW}}}).splitlines()[-1]
    assert last == "5 tracks (2 Fighting, 3 Standing) of 4 sources, a processor."


def test_curves_show_every_optimiser_and_every_loss() -> None:
    losses = {name: ROW | {"precision_at": np.linspace(1, 0.2, len(RECALLS)).tolist()} for name in ("γ = 0", "γ = 1")}
    for picture in (optimiser_curves({"10": {"AdamW": rates()}}), loss_curves({"20": losses, "3": losses})):
        assert b"<svg" in picture and len(picture) < LARGEST


@pytest.mark.parametrize("part", PARTS)
def test_recorded_results_stand_in_the_document_with_their_curves(part: str) -> None:
    report = json.loads((REPOSITORY / "benchmarks" / "results" / "heads.json").read_text("utf-8"))
    text = DOCS.read_text("utf-8")
    assert document.with_table(text, markdown(part, report), marks(part)) == text
    for picture in [heads.PICTURES / f"{part}.svg"] if report.get(part) else []:
        assert f"(pictures/{picture.name})" in text and picture.stat().st_size < LARGEST
