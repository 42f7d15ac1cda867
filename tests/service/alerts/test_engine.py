"""The engine on a virtual clock: order of checks, groups, cooldown, limits, kinds of rules, streams that fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.alerts.engine import step
from service.alerts.rule import Rules
from service.alerts.schedule import Schedule, Window
from service.alerts.state import MAX_NAMED, MAX_PEOPLE, MAX_STREAMS, State
from tests.service.alerts.scripted_log import BEGIN, GATE, YARD, Played, act, rule, say, see

NOON_TO_ONE = Schedule("UTC", (Window(frozenset(range(7)), 12 * 60, 13 * 60),))


def test_action_of_a_rule_starts_an_incident_at_once_and_its_end_ends_it_after_the_group_time():
    played = Played(rule(group_s=15)).take(act(1), act(5, "ended")).wait(60)
    assert played.told == [("started", 1), ("ended", 20)]
    started, ended = (change.incident for change in played.incidents)
    assert (started.stream_id, started.action, started.tracks, started.events) == (GATE, "Fighting", (7,), ("evt_1",))
    assert (started.n, ended.n, ended.id) == (1, 2, started.id)
    assert ended.ended_at == BEGIN + 5 and ended.end_s == 5.0, "it ended when it was seen last"


@pytest.mark.parametrize(
    "message",
    [
        act(1, action="Walking"),
        act(1, confidence=0.79),
        act(1, stream=YARD),
        act(1, zones=["yard"]),
    ],
)
def test_other_action_confidence_stream_or_zone_is_none_of_a_rules_business(message: dict[str, Any]):
    played = Played(rule(streams=frozenset({GATE}), zones=("gate",))).take({**message}).wait(60)
    assert played.told == []


def test_confidence_counts_when_it_is_reached_not_when_the_action_began():
    played = Played(rule()).take(act(1, confidence=0.5), act(3, "updated", confidence=0.85))
    assert played.starts == [3]


def test_dwell_counts_from_when_action_confidence_and_zone_hold_together():
    at_the_gate = rule(zones=("gate",), hold_s=3)
    played = Played(at_the_gate).take(act(1), see(4, 1, gate=[7]), act(30, "ended")).wait(60)
    assert played.starts == [7], "decided when it fell due, though no message came then"


def test_dwell_that_is_broken_counts_anew():
    played = Played(rule(zones=("gate",), hold_s=3)).take(
        act(0, zones=["gate"]), see(2, 1, gate=[]), see(2.5, 1, gate=[7]), see(5.4, 1, gate=[7])
    )
    assert played.starts == []
    assert played.take(see(5.6, 1, gate=[7])).starts == [5.5]


def test_consensus_needs_so_many_clips_of_which_a_share_agrees():
    careful = rule(clips=3, share=0.6)
    updates = [
        act(1, recent=[0.9]),
        act(2, "updated", recent=[0.9, 0.2]),
        act(3, "updated", recent=[0.9, 0.2, 0.3]),
        act(4, "updated", recent=[0.9, 0.2, 0.3, 0.9]),
        act(5, "updated", recent=[0.9, 0.2, 0.3, 0.9, 0.9]),
    ]
    assert Played(careful).take(*updates).starts == [5]


def test_several_people_make_one_incident_which_tells_of_them_every_five_seconds():
    people = [act(second, event=f"evt_{second}", track=second) for second in range(8)]
    ends = [act(20, "ended", f"evt_{second}", track=second) for second in range(8)]
    played = Played(rule(group_s=10)).take(*people, *ends).wait(60)
    assert played.told == [("started", 0), ("updated", 5), ("updated", 10), ("ended", 30)]
    assert [change.incident.people for change in played.incidents] == [1, 5, 8, 8]
    assert played.incidents[-1].incident.tracks == tuple(range(8))


def test_action_that_comes_back_within_the_group_time_belongs_to_the_same_incident():
    played = Played(rule(group_s=10)).take(act(0), act(2, "ended"), act(9, event="evt_2"), act(11, "ended", "evt_2"))
    assert played.wait(60).told == [("started", 0), ("ended", 21)]


def test_each_zone_has_an_incident_of_its_own():
    played = Played(rule(zones=("gate", "door"))).take(act(1, zones=["gate"]), act(2, event="evt_2", zones=["door"]))
    assert [(change.incident.zone, change.kind) for change in played.incidents] == [
        ("gate", "started"),
        ("door", "started"),
    ]


def test_cooldown_begins_with_a_message_that_was_due_not_with_what_did_not_match():
    brief = rule(hold_s=3, cooldown_s=60, group_s=1)
    almost = [act(0), act(1, "ended")]
    real = [act(10, event="evt_2"), act(15, "ended", "evt_2")]
    again = [act(30, event="evt_3"), act(40, "ended", "evt_3")]
    later = [act(80, event="evt_4"), act(90, "ended", "evt_4")]
    assert Played(brief).take(*almost, *real, *again, *later).wait(120).starts == [13, 83]


def test_what_still_goes_on_after_the_cooldown_is_told_then():
    brief = rule(cooldown_s=60, group_s=1)
    played = Played(brief).take(act(0), act(5, "ended"), act(20, event="evt_2"), act(100, "ended", "evt_2"))
    assert played.starts == [0, 60]


def test_cooldown_is_of_a_rule_a_stream_and_a_zone():
    two = [rule(cooldown_s=600), rule(id="rul_000000000000000b", cooldown_s=600)]
    played = Played(*two).take(act(0), act(1, stream=YARD, event="evt_2"))
    assert played.starts == [0, 0, 1, 1]


def test_hourly_limit_mutes_what_is_over_it_and_sums_it_up_once_when_the_hour_is_over():
    limited = rule(max_per_hour=2, group_s=0)
    fights = [
        act(100 * n + (50 if end else 0), "ended" if end else "started", f"evt_{n}") for n in range(5) for end in (0, 1)
    ]
    played = Played(limited).take(*fights).wait(3599)
    assert [change.incident.muted for change in played.incidents if change.kind == "started"] == [False] * 2 + [
        True
    ] * 3
    assert played.summaries == []
    (summary,) = played.wait(3600).summaries
    muted = [change.incident.id for change in played.incidents if change.incident.muted and change.kind == "started"]
    assert (summary.hour.told, summary.hour.held, list(summary.hour.named)) == (2, 3, muted)
    assert played.wait(7300).take(act(7400, event="evt_9")).incidents[-1].incident.muted is False


def test_outside_the_schedule_nothing_is_told_also_not_later():
    played = Played(rule(schedule=NOON_TO_ONE, group_s=0)).take(act(-120), act(-60, "ended")).wait(3000)
    assert played.told == []


def test_what_goes_on_when_the_schedule_begins_is_told_then_and_ended_when_it_is_over():
    played = Played(rule(schedule=NOON_TO_ONE)).take(act(-120), see(10, 1)).wait(4000)
    assert played.told == [("started", 0), ("ended", 3600)]


def test_snooze_ends_what_is_open_and_keeps_silent_until_it_is_over():
    played = Played(rule()).take(act(0)).wait(10)
    played.change_rules(rule(snoozed_until=BEGIN + 600)).wait(11)
    played.take(act(100, "ended"), act(200, event="evt_2"), act(300, "ended", "evt_2")).wait(700)
    assert played.told == [("started", 0), ("ended", 10)]
    assert played.take(act(800, event="evt_3")).starts == [0, 800]


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule(enabled=False)],
        [rule(streams=frozenset({YARD}))],
        [rule(zones=("gate",))],
    ],
)
def test_rule_that_is_gone_or_looks_elsewhere_ends_its_incident(rules: list[Any]):
    played = Played(rule()).take(act(0)).change_rules(*rules).wait(10)
    assert [kind for kind, _ in played.told] == ["started", "ended"]
    assert played.state.streams[GATE].incidents == {}


def test_new_rule_sees_what_goes_on_already():
    played = Played().take(act(0)).change_rules(rule()).wait(3)
    assert played.starts == [0]


def test_absence_is_told_after_nobody_was_seen_for_so_long_and_ends_when_somebody_comes():
    nobody = rule(kind="absence", actions=None, hold_s=30, group_s=5)
    played = Played(nobody).take(see(0, 1), see(10, 0), see(20, 0)).wait(60)
    assert played.told == [("started", 40)]
    assert played.take(see(70, 1)).wait(100).told == [("started", 40), ("ended", 75)]
    assert played.incidents[0].incident.start_s == 10.0


def test_absence_is_not_told_of_a_stream_that_does_not_run_or_a_zone_that_it_does_not_have():
    nobody = rule(kind="absence", actions=None, hold_s=30, zones=("gate",))
    assert Played(nobody).take(see(0, 0)).wait(60).told == [], "there is no such zone"
    played = Played(nobody).take(see(0, 0, gate=[]), say("reconnecting")).wait(60)
    assert played.told == []
    assert played.take(say("running"), see(70, 0, gate=[])).wait(99).told == []
    assert played.wait(101).starts == [100]


def test_dwell_rule_tells_who_stays_whatever_they_do():
    loitering = rule(kind="dwell", actions=None, zones=("door",), hold_s=20)
    played = Played(loitering).take(see(0, 2, door=[3]), see(15, 2, door=[3, 4]), see(21, 2, door=[3, 4]))
    assert played.starts == [20] and played.incidents[0].incident.tracks == (3,)
    assert played.wait(40).incidents[-1].incident.tracks == (3, 4)


def test_count_rule_tells_more_than_so_many_people_in_a_zone_for_so_long():
    crowd = rule(kind="count", actions=None, zones=("hall",), more_than=2, hold_s=5, group_s=0)
    played = Played(crowd).take(see(0, 3, hall=[1, 2, 3]), see(4, 2, hall=[1, 2]), see(6, 4, hall=[1, 2, 3, 4]))
    assert played.wait(10).told == []
    played.take(see(12, 6, hall=[1, 2, 3, 4, 5, 6])).take(see(20, 1, hall=[1])).wait(30)
    assert played.told == [("started", 11), ("updated", 16), ("ended", 20)]
    assert [change.incident.people for change in played.incidents] == [4, 6, 6]


def test_failed_stream_is_told_once_and_when_it_is_back():
    played = Played().take(say("failed"), say("failed"), say("connecting"), say("running"), say("running"))
    assert played.streams_told == [("failed", 1), ("recovered", 2)]


def test_clock_that_is_set_back_does_not_stop_the_time_of_a_stream():
    played = Played(rule(hold_s=5)).take(act(4000, event="old"), act(4001, "ended", "old"))
    played.take(act(100), see(104, 1), see(106, 1))
    assert played.starts == [105]


def test_end_that_tells_of_long_ago_is_no_clock_that_was_set_back():
    """After a crash an action ends when it was told of last, maybe an hour before."""
    stays = rule(kind="dwell", actions=None, zones=("gate",), hold_s=600)
    played = Played(stays).take(act(0), see(2950, 1, gate=[8]), see(3000, 1, gate=[8]))
    assert played.take(act(0, "ended"), see(3001, 1, gate=[8])).told == [], "8 is there for a minute"
    fights = Played(rule(group_s=5)).take(act(0), see(3000, 1), act(0, "ended")).wait(3050)
    assert fights.told == [("started", 0), ("ended", 3005)]


def test_late_message_counts_when_it_comes():
    played = Played(rule()).take(see(10, 1), act(8))
    assert played.starts == [10]


def test_message_does_not_change_the_state_that_it_was_given():
    played = Played(rule()).take(act(0), see(1, 1, gate=[7]))
    before, copy = played.state, replace(played.state)
    text = repr(before)
    step(before, act(5, "ended"), Rules([rule()]), BEGIN)
    assert repr(before) == text and before == copy


def test_state_is_bounded():
    crowd = Played(rule(group_s=1000))
    for number in range(MAX_PEOPLE + 5):
        crowd.state, _ = step(crowd.state, act(0, event=f"e{number}", track=number), crowd.rules, BEGIN)
    stream = crowd.state.streams[GATE]
    (incident,) = stream.incidents.values()
    assert (len(stream.people), crowd.state.dropped) == (MAX_PEOPLE, 5)
    assert (len(incident.tracks), len(incident.events), incident.people) == (MAX_NAMED, MAX_NAMED, MAX_PEOPLE)
    many = State()
    for number in range(MAX_STREAMS + 3):
        many, _ = step(many, see(number, 1, stream=f"str_{number:016x}"), crowd.rules, BEGIN)
    assert (len(many.streams), many.dropped) == (MAX_STREAMS, 3)


@pytest.mark.parametrize(("state", "told"), [("stopped", ["started", "ended"]), ("reconnecting", ["started"])])
def test_action_whose_end_was_lost_goes_on_no_longer_than_its_stream(state: str, told: list[str]):
    played = Played(rule(group_s=0)).take(act(0), see(5, 1), say(state)).wait(60)
    assert [kind for kind, _ in played.told] == told


def test_stream_that_shows_nothing_more_is_forgotten():
    played = Played(rule()).take(act(0), act(5, "ended"), say("stopped")).wait(60)
    assert played.state.streams == {}
