"""The pure parts of benchmarks/giving_way.py: which pictures are looked at, and what the table says of their cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.giving_way import DOCS, MARKS, RATES_HZ, markdown, pace
from benchmarks.tracking import Recorded
from pipeline.entities import Detections
from service.budget.ladder import ENOUGH_HZ, LEAST_HZ

NOBODY = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 4), np.float32))


def film(pictures_hz: float) -> list[Recorded]:
    return [Recorded(number / pictures_hz, (10, 10), NOBODY) for number in range(50)]


@pytest.mark.parametrize(
    ("pictures_hz", "rate_hz", "every"), [(10, 12.5, 1), (10, 10 / 3, 3), (10, 2.5, 4), (25, 12.5, 2), (25, 5, 5)]
)
def test_pictures_are_looked_at_as_often_as_comes_closest(pictures_hz: float, rate_hz: float, every: int) -> None:
    assert pace(film(pictures_hz), rate_hz) == every


def test_rates_reach_over_those_of_the_budget() -> None:
    assert max(RATES_HZ) == ENOUGH_HZ and min(RATES_HZ) <= LEAST_HZ


def test_table_tells_cost_beside_quality() -> None:
    figures = {"mota": 0.8, "idf1": 0.85, "id_switches": 8}
    rows: list[dict[str, Any]] = [
        {"size": size, "rate_hz": rate, "cpu_ms": cost, "mean": figures, "scores": {"PETS09-S2L1": figures}}
        for size, cost in ((640, 90.0), (480, 56.0))
        for rate in (5.0, 2.5)
    ]
    text = markdown({"rows": rows, "detector": "a detector", "machine": "a machine"})
    lines = text.splitlines()
    assert lines[0] == "| input, ms a call | 5 a second | 2.5 a second |"
    assert lines[2].startswith("| 640, 90 | 0.800 / 0.850 / 8.0 [0.800 / 0.850 / 8], 450 ms/s | ")
    assert lines[3].endswith("140 ms/s |")
    assert lines[-1] == "PETS09-S2L1; a detector, a machine."


def test_document_has_a_place_for_the_table() -> None:
    assert all(mark in DOCS.read_text("utf-8") for mark in MARKS)
