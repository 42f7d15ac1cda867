"""Alerts a day, foretold from what a version that is tried would have said."""

from __future__ import annotations

from typing import Any

import pytest

from service.promotion.forecast import DAY_S, alerts_among, forecast
from service.promotion.trial import Readiness, trial_of
from service.storage.records import StreamRecord
from service.storage.rules import RuleRecord
from service.versions.tally import ShadowTally

A, B = "str_00000000000000aa", "str_00000000000000bb"


def rule(actions: dict[str, float] | None = None, enabled: bool = True, **body: Any) -> RuleRecord:
    return RuleRecord("rul_1", "Gate", {"kind": "action", "streams": [], "actions": actions, **body}, enabled)


def at(tenth: int, count: int) -> tuple[int, ...]:
    return tuple(count if index == tenth else 0 for index in range(10))


TALLY = ShadowTally(
    "gym@2", DAY_S / 24, 100, 80, {"squat": at(8, 2)}, {"squat": at(8, 3), "lunge": at(9, 1)}, {"squat": at(8, 4)}
)


@pytest.mark.parametrize(
    ("rules", "champion", "challenger"),
    [
        ([], 0, 0),
        ([rule({"squat": 0.8})], 4 * 24, 3 * 2 * 24),
        ([rule()], 4 * 24, 4 * 2 * 24),
        ([rule({"squat": 0.9})], 0, 0),
        ([rule({"squat": 0.8}, streams=[B])], 0, 0),
        ([rule({"squat": 0.8}, enabled=False)], 0, 0),
        ([rule(None, kind="absence")], 0, 0),
        ([rule({"squat": 0.8}), rule({"lunge": 0.5})], 4 * 24, 4 * 2 * 24),
    ],
)
def test_alerts_are_what_rules_look_for_and_scaled_by_what_was_really_told(
    rules: list[RuleRecord], champion: float, challenger: float
):
    """Of four real events two were in the clips that both judged, so what the rival said counts twice."""
    found = forecast(TALLY, rules, A)
    assert (found.champion, found.challenger) == (pytest.approx(champion), pytest.approx(challenger))


def test_nothing_is_foretold_of_a_minute():
    short = ShadowTally("gym@2", 30.0, 1, 1, {}, {"squat": at(9, 1)}, {})
    assert forecast(short, [rule()], A).challenger == 0


def test_real_events_count_once_for_each_rule_that_looks_for_them():
    events = [(A, "squat", 0.85), (A, "squat", 0.5), (B, "lunge", 0.9)]
    assert alerts_among(events, [rule({"squat": 0.8}), rule(None, streams=[B])]) == 2
    assert alerts_among(events, [rule()]) == 3


@pytest.mark.parametrize(
    ("clips", "hours", "ready", "why"),
    [
        (199, 30.0, False, "it takes 1 more clips"),
        (500, 20.5, False, "it takes 3.5 more hours"),
        (0, 0.0, False, "it takes 200 more clips and 24.0 more hours"),
        (200, 24.0, True, "200 clips in 24 hours"),
    ],
)
def test_trial_says_whether_it_suffices(clips: int, hours: float, ready: bool, why: str):
    stream = StreamRecord(A, "Gate", "rtsp://h/", "gym")  # type: ignore[arg-type]
    tally = ShadowTally("gym@2", 100.0, clips, clips // 2, {}, {}, {})
    trial = trial_of("gym@2", {A: tally}, [stream], [], hours, Readiness())
    assert (trial.ready, trial.why) == (ready, why)
    assert trial.agreement == (None if clips == 0 else pytest.approx(0.5, abs=0.01))
    assert [(each.name, each.clips) for each in trial.by_stream] == [("Gate", clips)]


def test_streams_that_may_not_be_seen_are_not_named():
    tally = ShadowTally("gym@2", 100.0, 10, 5, {}, {}, {})
    assert trial_of("gym@2", {B: tally}, [], [], 1.0, Readiness()).by_stream == ()
