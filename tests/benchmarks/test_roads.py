"""The pure parts of benchmarks/roads.py and benchmarks/heads.py: what is counted, what is shown."""

from __future__ import annotations

import json
import shlex
from typing import Any

import numpy as np
import pytest

from benchmarks import heads
from benchmarks.heads import RATES, Examples, judged, loss_table, optimiser_table, thinned
from benchmarks.roads import CONFIGS, DOCS, MARKS, ROWS, Clock, lowest_share, markdown
from models.training.config import load_config
from service.cli import build_parser
from tests.support.places import REPOSITORY


def row(**changed: Any) -> dict[str, Any]:
    figures = {"top1": [0.9, 0.8, 0.95], "clips": 70, "groups": 35, "parameters": 2_800_000}
    return {**figures, "features_s": 100.0, "learning_s": 50.0, **changed}


def test_every_row_has_its_configuration_and_says_what_it_sees() -> None:
    for name, each in ((name, each) for name, each in ROWS.items() if not each.adds):
        config = load_config(CONFIGS / f"ucf101_{name}.py")
        assert f"{config.input.window.length} pictures of {config.input.size}²" in each.sees, name
        assert f"{config.epochs} epochs" in each.learns or each.learns == "the same", name
        assert each.uses in ("", *ROWS)
    assert all(part in ROWS for each in ROWS.values() for part in each.adds)


def test_time_goes_to_what_was_told_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((2.0, 5.0, 6.0, 10.0))
    monkeypatch.setattr("time.process_time", lambda: next(now))
    clock = Clock(_since=0.0)
    for what in ("checking clips", "features (rgb, OpenVINO bf16)", "features (rgb, OpenVINO bf16)", "epoch 1 of 3"):
        clock.step(what, 1, 2)
    assert dict(clock.spent_s) == {"checking": 2.0, "features": 4.0, "epoch": 4.0}


def test_all_right_is_no_proof_of_a_perfect_network() -> None:
    assert lowest_share(35) == pytest.approx(0.025 ** (1 / 35))
    assert lowest_share(1) == pytest.approx(0.025)


def test_shared_features_count_for_every_row_that_needs_them() -> None:
    machine = {"cpu": "a processor"}
    rows = {"gru": row(), "lstm": row(features_s=0.0), "i3d": row(features_s=250.0)}
    lines = markdown({"rows": rows, "machine": machine}).splitlines()
    found = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[3:] for line in lines[2 : 2 + len(ROWS)]}
    assert found["MobileNetV2 + GRU"] == found["MobileNetV2 + LSTM"]
    assert found["MobileNetV2 + GRU"] == ["0.900 [0.800, 0.950]", "100 + 50", "×0.50", "2.80 |"]
    assert found["light I3D"][0] == "not run"
    assert lines[-1] == "70 clips of 35 groups, a processor."


def test_table_without_a_measurement_claims_none() -> None:
    text = markdown({"rows": {}})
    assert text.count("not run") == len(ROWS) and "groups" not in text


def told_commands() -> list[str]:
    """Every ``actoscope …`` of docs/roads.md and of the configurations' docstrings."""
    texts = [DOCS.read_text("utf-8"), *(path.read_text("utf-8") for path in sorted(CONFIGS.glob("[!_]*.py")))]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return sorted({line.removeprefix("actoscope ") for line in lines if line.startswith("actoscope ")})


@pytest.mark.parametrize("line", told_commands())
def test_command_that_a_road_tells_of_parses(line: str) -> None:
    words = shlex.split(line)
    assert callable(build_parser(words).parse_args(words).run)
    assert words[0] != "train" or (REPOSITORY / words[1]).is_file()


def test_document_has_a_place_for_every_table() -> None:
    text = DOCS.read_text("utf-8")
    for between in (MARKS, *(heads.marks(part) for part in heads.PARTS)):
        assert all(mark in text for mark in between)


def test_fights_are_thinned_alike_for_every_loss_and_others_all_stay() -> None:
    fights = np.array([1] * 30 + [0] * 40)
    inside = np.arange(5, 70)
    first, again, other = (thinned(inside, fights, 10, draw) for draw in (0, 0, 1))
    assert (first == again).all() and not np.array_equal(first, other)
    assert fights[first].sum() == 4 and (fights[first] == 0).sum() == 40


def test_folds_learn_from_all_that_they_do_not_hold_out() -> None:
    folds = (np.array([0, 3]), np.array([1, 2, 4]))
    examples = Examples(np.zeros((5, 2), np.float32), np.zeros(5, np.int64), ("a",) * 5, ("x",), folds)
    assert examples.inside(0).tolist() == [1, 2, 4] and examples.inside(1).tolist() == [0, 3]


def test_fights_are_judged_by_order_and_by_what_is_called_one() -> None:
    found = judged(np.array([2.0, -1.0, -2.0, 1.0], np.float32), np.array([1, 1, 0, 0]))
    assert found["recall"] == 0.5 and found["f1"] == 0.5
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)


def test_tables_show_the_best_rate_and_every_loss() -> None:
    rates = {f"{rate:g}": [0.5, 0.4, 0.6] for rate in RATES} | {"0.001": [0.7, 0.6, 0.8]}
    text = optimiser_table({"10": {"AdamW": rates}})
    assert "**0.700**" in text and text.splitlines()[2].endswith("| 0.700 [0.600, 0.800] |")
    assert len({line.count("|") for line in text.splitlines()}) == 1
    losses = {"20": {"γ = 0": {"average_precision": 0.5, "f1": 0.25, "recall": 0.2}}}
    assert "| γ = 0 | 0.500 / 0.250 / 0.200 |" in loss_table(losses)
    assert optimiser_table({}) == loss_table({}) == "Not run.\n"


def test_recorded_results_reach_the_floors_and_stand_in_the_document() -> None:
    report = json.loads((REPOSITORY / "benchmarks" / "results" / "roads.json").read_text("utf-8"))
    assert report["rows"]["gru"]["top1"][0] >= 0.90
    assert report["rows"]["i3d"]["top1"][0] >= 0.97
    assert markdown(report) in DOCS.read_text("utf-8")
