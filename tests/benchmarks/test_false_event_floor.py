"""The defaults that ship, played over what fold networks said of real video: false alarms cannot rise unnoticed.

The answers were recorded by ``benchmarks/false_events.py study``; only the smoother and the card's ``evidence`` are at
work here, so the figures change with these and with nothing else.
"""

from __future__ import annotations

import json

import pytest

from benchmarks.events.recorded import read_recorded
from models.evaluation.videos.event_curve import curve_point
from models.weights.cards import read_card
from pipeline.actions import SmootherConfig
from tests.support.places import REPOSITORY

FLOORS = json.loads((REPOSITORY / "benchmarks" / "floors.json").read_text())["false_events"]


@pytest.mark.parametrize("model", ["surveillance", "surveillance-light"])
def test_fighting_with_the_card_s_evidence_stays_within_its_floors(model: str) -> None:
    config = SmootherConfig(evidence=read_card(REPOSITORY / "weights" / model).evidence)
    point = curve_point("Fighting", read_recorded(), config)
    assert point.false_per_hour is not None and point.videos is not None and point.videos.delay_p50_s is not None
    assert point.false_per_hour.value <= FLOORS["per_hour_max"]
    assert point.videos.share.value >= FLOORS["videos_found_min"]
    assert point.videos.delay_p50_s <= FLOORS["delay_p50_s_max"]
    assert len(point.kinds) >= 5, "calm video of every kind is in the recording"
