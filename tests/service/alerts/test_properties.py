"""Whatever streams say: one start an incident, order kept, none while cooling down; schedules against the clock."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.alerts.schedule import MINUTES, Schedule, Window, parse_days, parse_time
from tests.service.alerts.scripted_log import BEGIN, GATE, YARD, Played, act, rule, say, see

ACTS = st.builds(
    lambda kind, track, stream, confidence, zones: ("act", kind, track, stream, confidence, zones),
    st.sampled_from(["started", "updated", "ended"]),
    st.integers(1, 3),
    st.sampled_from([GATE, YARD]),
    st.sampled_from([0.5, 0.8, 0.95]),
    st.sampled_from([(), ("gate",), ("gate", "door")]),
)
SEEN = st.builds(
    lambda stream, tracks: ("see", stream, tracks), st.sampled_from([GATE, YARD]), st.sets(st.integers(1, 3))
)
SAID = st.builds(
    lambda stream, state: ("say", stream, state), st.sampled_from([GATE, YARD]), st.sampled_from(["running", "failed"])
)
STEPS = st.lists(st.tuples(st.floats(0, 20), st.one_of(ACTS, SEEN, SAID, st.just(("wait",)))), min_size=1, max_size=40)


def played(steps: list[Any], **changes: Any) -> Played:
    there, at = Played(rule(**changes)), 0.0
    for pause, what in steps:
        at = round(at + pause, 3)
        match what:
            case ("act", kind, track, stream, confidence, zones):
                event = f"evt_{stream[-1]}{track}"
                there.take(act(at, kind, event, track=track, stream=stream, confidence=confidence, zones=zones))
            case ("see", stream, tracks):
                there.take(see(at, len(tracks), stream, gate=sorted(tracks)))
            case ("say", stream, state):
                there.take(say(state, stream), now=at)
            case _:
                there.wait(at)
    return there.wait(at + 10_000)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from([0, 3]), st.sampled_from([0, 10, 60]), st.sampled_from([(), ("gate",)]))
def test_incidents_start_once_end_once_and_none_starts_while_its_place_cools_down(
    steps: list[Any], hold_s: float, cooldown_s: float, zones: tuple[str, ...]
):
    there = played(steps, hold_s=hold_s, cooldown_s=cooldown_s, zones=zones, group_s=5)
    lives: dict[str, list[Any]] = defaultdict(list)
    starts: dict[Any, list[float]] = defaultdict(list)
    for change in there.incidents:
        lives[change.incident.id].append(change)
        if change.kind == "started":
            starts[change.incident.rule_id, change.incident.stream_id, change.incident.zone].append(change.at)
    for life in lives.values():
        kinds = [change.kind for change in life]
        assert kinds[0] == "started" and set(kinds[1:-1]) <= {"updated"}
        assert kinds.count("started") == 1 and kinds.count("ended") <= 1
        assert [change.incident.n for change in life] == list(range(1, len(life) + 1))
        assert [change.at for change in life] == sorted(change.at for change in life)
    for times in starts.values():
        assert all(later - earlier >= cooldown_s for earlier, later in pairwise(times))


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 3))
def test_rule_tells_of_no_more_incidents_an_hour_than_it_may(steps: list[Any], most: int):
    there = played(steps, max_per_hour=most, group_s=0)
    starts = [change for change in there.incidents if change.kind == "started"]
    told = [change for change in starts if not change.incident.muted]
    assert len(told) <= most, "all of it is within an hour"
    assert sum(summary.hour.held for summary in there.summaries) == len(starts) - len(told)


ZONES = ["Europe/Berlin", "America/New_York", "UTC", "Australia/Lord_Howe"]
# Nights on which clocks are put forward and back, of both.
NIGHTS = [datetime(2026, *day, tzinfo=timezone.utc).timestamp() for day in ((3, 28), (10, 24), (3, 7), (10, 31))]
MOMENTS = st.one_of(st.sampled_from(NIGHTS).flatmap(lambda at: st.integers(int(at), int(at) + 2 * 86_400)))
WINDOWS = st.builds(
    Window, st.frozensets(st.integers(0, 6), min_size=1), st.integers(0, MINUTES - 1), st.integers(0, MINUTES)
)
SCHEDULES = st.builds(Schedule, st.sampled_from(ZONES), st.lists(WINDOWS, min_size=1, max_size=3).map(tuple))


def by_the_wall(schedule: Schedule, at: float) -> bool:
    """What somebody would say who looks at a clock on the wall."""
    local = datetime.fromtimestamp(at, ZoneInfo(schedule.timezone))
    now = local.hour * 60 + local.minute
    for window in schedule.windows:
        if window.start < window.end:
            if local.weekday() in window.days and window.start <= now < window.end:
                return True
        elif (local.weekday() in window.days and now >= window.start) or (
            (local.weekday() - 1) % 7 in window.days and now < window.end
        ):
            return True
    return False


@settings(max_examples=300, deadline=None)
@given(SCHEDULES, MOMENTS)
def test_schedule_says_what_a_clock_on_the_wall_says_also_on_nights_when_it_is_put_forward_or_back(
    schedule: Schedule, at: int
):
    armed = by_the_wall(schedule, at)
    assert schedule.armed(at) is armed
    ends, begins = schedule.armed_until(at), schedule.armed_from(at)
    assert (begins == at) is armed and (ends == at) is not armed
    edge = ends if armed else begins
    if edge is None:  # as it is for all of the next two weeks
        assert all(by_the_wall(schedule, at + hours * 3600) is armed for hours in range(14 * 24))
        return
    assert by_the_wall(schedule, edge) is not armed, "it changes there"
    for part in range(20):
        assert by_the_wall(schedule, at + int((edge - at) * part / 20)) is armed, "and not before"
    assert by_the_wall(schedule, edge - 1) is armed or edge == at


@pytest.mark.parametrize(
    ("zone", "evening", "hours"),
    [
        ("Europe/Berlin", "2026-03-28T21:00:00+00:00", 7),
        ("Europe/Berlin", "2026-10-24T20:00:00+00:00", 9),
        ("America/New_York", "2026-03-08T03:00:00+00:00", 7),
        ("America/New_York", "2026-11-01T02:00:00+00:00", 9),
        ("Europe/Berlin", "2026-05-04T20:00:00+00:00", 8),
    ],
)
def test_night_from_ten_to_six_has_seven_hours_or_nine_when_the_clock_changes(zone: str, evening: str, hours: int):
    night = Schedule(zone, (Window(parse_days("mon-sun"), parse_time("22:00"), parse_time("06:00")),))
    at = datetime.fromisoformat(evening).timestamp()
    assert night.armed_from(at - 3600) == at
    assert night.armed_until(at) == at + hours * 3600


def test_window_that_falls_into_the_hour_left_out_opens_when_the_clock_has_been_put_forward():
    schedule = Schedule("Europe/Berlin", (Window(parse_days("sun"), parse_time("02:30"), parse_time("05:00")),))
    at = datetime(2026, 3, 29, tzinfo=timezone.utc).timestamp()
    assert schedule.armed_from(at) == at + 3600  # 03:00 summer time


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("sat,sun", {5, 6}),
        ("fri-mon", {4, 5, 6, 0}),
        ("Wed", {2}),
        ("mon-sun", set(range(7))),
    ],
)
def test_days_are_read(text: str, days: set[int]):
    assert parse_days(text) == days


@pytest.mark.parametrize("text", ["", "monday", "mon-", "-fri", "mon fri", "1-5"])
def test_other_days_are_refused(text: str):
    with pytest.raises(ValueError, match="mon-fri or sat,sun"):
        parse_days(text)


def test_window_that_ends_where_it_begins_is_a_whole_day():
    schedule = Schedule("UTC", (Window(frozenset({0}), 600, 600),))
    at = BEGIN - 2 * 3600  # Monday, ten o'clock
    assert (schedule.armed_from(at - 1), schedule.armed_until(at)) == (at, at + 86_400)
