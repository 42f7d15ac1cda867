"""Results that are kept: they stand in the documents as measured, and reach their floors in benchmarks/floors.json."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from benchmarks import depths, document, falls, teacher, voices
from tests.support.places import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks"
FLOORS = json.loads((BENCHMARKS / "floors.json").read_text("utf-8"))
SCRIPTS = {"depths": depths, "falls": falls, "teacher": teacher, "voices": voices}
COMPARED = [(name, row) for name in ("depths", "teacher", "voices") for row in FLOORS[name]]


def recorded(name: str) -> Any:
    return json.loads((BENCHMARKS / "results" / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize(("name", "script"), SCRIPTS.items())
def test_recorded_results_are_the_table_of_the_document(name: str, script: ModuleType) -> None:
    text = script.DOCS.read_text("utf-8")
    assert document.with_table(text, script.markdown(recorded(name)), script.MARKS) == text


@pytest.mark.parametrize(("name", "row"), COMPARED)
def test_recorded_row_reaches_its_floors(name: str, row: str) -> None:
    found, floors = recorded(name)["rows"][row], FLOORS[name][row]
    assert found["macro_f1"][0] >= floors["macro_f1"]
    assert found["macro_f1_three"][0] >= floors["macro_f1_three"]
    assert found["difference"][0] >= floors["difference"]


def test_falls_with_boxes_reach_their_floors() -> None:
    for threshold, floors in FLOORS["falls"].items():
        found = recorded("falls")["tiers"]["light"]["with_boxes"][threshold]
        assert found["recall"][0] >= floors["recall"]
        assert found["false_per_hour"][0] <= floors["false_per_hour_max"]
        assert found["hours"] >= floors["hours"]
