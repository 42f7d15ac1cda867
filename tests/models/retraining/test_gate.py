"""The seven checks, on answers written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.data.manifest import ClipRecord
from models.errors import CardError
from models.evaluation.figures.predictions import Predictions
from models.retraining.gate import GATE_FILE, Check, Facts, Gate, Pair, Tier, judge_version, read_gate

LABELS = ("Fighting", "Walking")
CAMERAS = {"str_a": "Gate", "str_b": "Yard"}


def answers(cameras: Sequence[str], wrong: Sequence[int] = (), sure: float = 4.0, prefix: str = "") -> Predictions:
    """One clip each, of an incident of its own; those of ``wrong`` are called the other class."""
    targets = np.arange(len(cameras)) % 2
    called = np.array([1 - target if row in wrong else target for row, target in enumerate(targets)])
    records = tuple(
        ClipRecord(Path(f"/{prefix}{row}.mp4"), LABELS[targets[row]], f"{prefix}{camera}/{row}", video=camera)
        for row, camera in enumerate(cameras)
    )
    return Predictions(LABELS, records, sure * np.eye(2)[called], targets.astype(np.int64))


def pair(cameras: Sequence[str], before: Sequence[int], after: Sequence[int], prefix: str = "") -> Pair:
    return Pair(answers(cameras, before, prefix=prefix), answers(cameras, after, prefix=prefix))


AUDIT = ["str_a"] * 40 + ["str_b"] * 40
FAILS = list(range(40, 70))  # of the yard
BETTER = pair(AUDIT, FAILS, [])
BASE = pair([""] * 40, [1], [1], "base/")
FACTS: dict[str, Any] = {"cameras": CAMERAS, "learnt": {"str_b": 12}, "labels": LABELS, "used": {"Fighting": ["Night"]}}


def judged(
    audit: Pair | None = BETTER, base: Pair | None = BASE, facts: dict[str, Any] | None = None, **tier: Any
) -> Gate:
    return judge_version([Tier("guard", audit, base, **tier)], Facts(**{**FACTS, **(facts or {})}))


def check(gate: Gate, name: str) -> Check:
    return next(each for each in gate.checks if each.name == name)


def test_gate_lets_a_better_version_pass_and_says_by_how_much() -> None:
    gate = judged()
    assert gate.passed and gate.missing == ()
    assert [each.name for each in gate.checks] == [
        *("base", "audit", "cameras", "calibration", "cost", "labels", "parity")
    ]
    assert check(gate, "audit").words == (
        "macro F1 0.62 → 1.00 on 80 clips of the audit sample, better in 90 % of draws"
    )
    assert check(gate, "cameras").words == "none of 2 cameras gets worse"
    assert check(gate, "parity").passed is None


def test_gate_refuses_what_is_no_better_on_the_audit_sample() -> None:
    gate = judged(pair(AUDIT, FAILS, FAILS))
    assert not gate.passed
    assert check(gate, "audit").passed is False
    assert "which may be chance" in check(gate, "audit").words


def test_gate_refuses_what_forgets_the_base_set() -> None:
    gate = judged(base=pair([""] * 40, [], range(6), "base/"))
    assert not gate.passed
    assert check(gate, "base").passed is False
    assert check(gate, "base").words.endswith("more than 0.01 may be lost")


def test_gate_refuses_a_version_that_costs_one_camera_what_another_gains() -> None:
    gate = judged(pair(AUDIT, FAILS, [3, 8]))
    assert not gate.passed
    assert check(gate, "audit").passed is True
    assert check(gate, "cameras").words == "Gate gets worse, 1.00 → 0.95 on 40 clips"


def test_gate_judges_no_camera_by_a_few_clips() -> None:
    audit = ["str_a"] * 10 + ["str_b"] * 40
    gate = judged(pair(audit, list(range(10, 40)), [3]))
    assert gate.passed
    assert check(gate, "cameras").words == "the camera does not get worse"


def test_gate_says_how_many_labels_are_missing() -> None:
    two = pair(["str_b", "str_b"], [0, 1], [])
    gate = judged(two)
    assert not gate.passed
    assert gate.missing == ("38 more from Yard",)
    assert check(gate, "audit").words == "too few labels of the audit sample to tell: 38 more from Yard"
    without = judged(None)
    assert without.missing == ("40 more from Yard",)
    assert not without.passed
    one_incident = Pair(*(_of_one_group(each) for each in (BETTER.parent, BETTER.challenger)))
    assert judged(one_incident).missing == ("labels of 4 more incidents",)


def _of_one_group(said: Predictions) -> Predictions:
    from dataclasses import replace

    return replace(said, records=tuple(replace(record, group="one") for record in said.records))


def test_gate_waives_the_number_of_labels_where_it_is_asked_to_and_there_is_a_base_set() -> None:
    few = pair(["str_b"] * 6, range(6), [])
    waived = judged(few, facts={"force_count": True})
    assert waived.passed
    assert check(waived, "audit").words.endswith("(with too few labels: 34 more from Yard)")
    assert not judged(few, None, facts={"force_count": True}).passed
    assert not judged(pair(["str_b"] * 6, range(6), range(6)), facts={"force_count": True}).passed


def test_gate_without_a_base_set_passes_on_a_sample_that_suffices() -> None:
    gate = judged(base=None)
    assert gate.passed
    assert check(gate, "base").passed is None
    assert check(gate, "base").words.startswith("no base set: ")


def test_gate_refuses_probabilities_that_mean_nothing() -> None:
    unsure = Pair(BETTER.parent, answers(AUDIT, [], sure=0.4))
    assert check(judged(unsure, None, fitted=False), "calibration").passed is False
    assert check(judged(unsure, None, fitted=False, temperature=0.1), "calibration").passed is True
    assert check(judged(unsure, None), "calibration").passed is False  # too far from the parent's
    assert check(judged(unsure, None, temperature=0.2), "calibration").passed is True  # fitted on other incidents


def test_gate_refuses_what_costs_more_what_loses_a_label_and_runtimes_that_differ() -> None:
    assert check(judged(cost=1.2), "cost").words.startswith("1.20 times the arithmetic")
    assert not judged(cost=1.2).passed
    gone = judged(facts={"used": {"Falling": ["Night", "Day"], "Walking": ["Day"]}})
    assert check(gone, "labels").words == "Falling is used by Night, Day and is no label any more"
    assert not gone.passed
    assert not judged(parity=0.9).passed
    assert judged(parity=1.0).passed


def test_gate_asks_every_network_of_a_version_and_names_the_one_that_fails() -> None:
    tiers = [Tier("guard", BETTER, BASE), Tier("guard-light", pair(AUDIT, FAILS, FAILS), BASE)]
    gate = judge_version(tiers, Facts(**FACTS))
    assert not gate.passed
    words = check(gate, "audit").words
    assert words.startswith("guard: macro F1 0.62 → 1.00") and "guard-light: macro F1 0.62 → 0.62" in words


def test_gate_is_read_from_its_folder(tmp_path: Path) -> None:
    assert read_gate(tmp_path) is None
    gate = judged()
    (tmp_path / GATE_FILE).write_text(gate.model_dump_json())
    assert read_gate(tmp_path) == gate
    (tmp_path / GATE_FILE).write_text("{")
    with pytest.raises(CardError, match=GATE_FILE):
        read_gate(tmp_path)
