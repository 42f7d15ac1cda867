"""The pure parts of benchmarks/roads.py: what is counted, what is shown."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

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


def test_document_has_a_place_for_the_table() -> None:
    assert all(mark in DOCS.read_text("utf-8") for mark in MARKS)


def test_recorded_results_reach_the_floors_and_stand_in_the_document() -> None:
    report = json.loads((REPOSITORY / "benchmarks" / "results" / "roads.json").read_text("utf-8"))
    assert report["rows"]["gru"]["top1"][0] >= 0.90
    assert report["rows"]["i3d"]["top1"][0] >= 0.97
    assert markdown(report) in DOCS.read_text("utf-8")
