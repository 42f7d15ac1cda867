"""What people type and what comes of it, on Wednesday, 4 November 2026, 09:30 in New York."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.local_time.zones import at
from service.search.days import Now
from service.search.names import Vocabulary
from service.search.parser import MAX_TEXT, Understood, understand
from service.search.words import stem

ZONE = ZoneInfo("America/New_York")
NOW = Now(at(ZONE, date(2026, 11, 4), 9, 30), ZONE)
NAMES = Vocabulary(
    {
        "stream": [("Gate", "str_1"), ("Car park north", "str_2"), ("Car park south", "str_3"), ("Gate", "str_4")],
        "zone": [("gate", "gate"), ("Loading bay", "Loading bay")],
        "rule": [("Night watch", "rul_1")],
        "action": [(label, label) for label in ("Fighting", "Walking", "Running", "push up", "playing cricket")],
    }
)


def asked(text: str) -> Understood:
    return understand(text, NAMES, NOW)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("fighting", {"action": ["Fighting"]}),
        ("Fights or walked, RUNS", {"action": ["Fighting", "Walking", "Running"]}),
        ("push ups", {"action": ["push up"]}),
        ("cricket", {"action": ["playing cricket"]}),
        ("car park north", {"stream": ["str_2"]}),
        ("car park", {"stream": ["str_2", "str_3"]}),
        ("gate", {"stream": ["str_1", "str_4"]}),
        ("zone gate", {"zone": ["gate"]}),
        ("somebody in the loading bay", {"zone": ["Loading bay"]}),
        ("rule night watch", {"rule": ["rul_1"]}),
        ("wrong walking", {"verdict": ["wrong"], "action": ["Walking"]}),
        ("right or unsure", {"verdict": ["right", "unsure"]}),
        ("without verdict", {"verdict": ["none"]}),
        ("not reviewed", {"reviewed": ["false"]}),
        ("reviewed", {"reviewed": ["true"]}),
        ("audit sample", {"audit_sample": ["true"]}),
        ("over 5 s", {"min_duration_s": ["5"]}),
        ("longer than 1.5 minutes", {"min_duration_s": ["90"]}),
        ("above 80 %", {"min_confidence": ["0.8"]}),
        ("> 80%", {"min_confidence": ["0.8"]}),
        ("below 60 percent", {"max_confidence": ["0.6"]}),
        ("person 7 #9", {"track": ["7", "9"]}),
        ("22-6", {"time_of_day": ["22:00-06:00"], "timezone": ["America/New_York"]}),
        ("from 10pm to 6:30am", {"time_of_day": ["22:00-06:30"], "timezone": ["America/New_York"]}),
        ("after 18:00", {"time_of_day": ["18:00-24:00"], "timezone": ["America/New_York"]}),
        ("before 7", {"time_of_day": ["00:00-07:00"], "timezone": ["America/New_York"]}),
        ("after 18:00 before 20:00", {"time_of_day": ["18:00-20:00"], "timezone": ["America/New_York"]}),
        ("at night", {"time_of_day": ["22:00-06:00"], "timezone": ["America/New_York"]}),
        ("12am - 3am", {"time_of_day": ["00:00-03:00"], "timezone": ["America/New_York"]}),
    ],
)
def test_words_become_filters(text: str, query: dict[str, list[str]]):
    found = asked(text)
    assert (found.query, found.rest) == (query, "")


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("today", "2026-11-04T05:00:00Z", "2026-11-05T05:00:00Z"),
        ("yesterday", "2026-11-03T05:00:00Z", "2026-11-04T05:00:00Z"),
        ("last night", "2026-11-04T01:00:00Z", "2026-11-04T11:00:00Z"),
        ("this morning", "2026-11-04T10:00:00Z", "2026-11-04T17:00:00Z"),
        ("yesterday evening", "2026-11-03T23:00:00Z", "2026-11-04T05:00:00Z"),
        ("monday", "2026-11-02T05:00:00Z", "2026-11-03T05:00:00Z"),
        ("on wednesday", "2026-11-04T05:00:00Z", "2026-11-05T05:00:00Z"),
        ("last wednesday", "2026-10-28T04:00:00Z", "2026-10-29T04:00:00Z"),
        ("2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),  # a day of 25 hours
        ("saturday night", "2026-11-01T00:00:00Z", "2026-11-01T11:00:00Z"),  # over the change of the clock
        ("1 november", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        ("Nov 1st, 2025", "2025-11-01T04:00:00Z", "2025-11-02T04:00:00Z"),
        ("24.12.", "2025-12-24T05:00:00Z", "2025-12-25T05:00:00Z"),  # the newest that has been
        ("last 3 hours", "2026-11-04T11:30:00Z", "2026-11-04T14:30:00Z"),
        ("2998-12-31 night", "2999-01-01T01:00:00Z", "2999-01-01T11:00:00Z"),  # the last that there is
        ("past 9999 weeks", "1970-01-01T00:00:00Z", "2026-11-04T14:30:00Z"),
        ("past week", "2026-10-28T14:30:00Z", "2026-11-04T14:30:00Z"),
        ("monday tuesday", "2026-11-02T05:00:00Z", "2026-11-04T05:00:00Z"),
    ],
)
def test_days_are_those_of_the_zone(text: str, since: str, until: str):
    found = asked(text)
    assert (found.query, found.rest) == ({"since": [since], "until": [until]}, "")


def test_everything_together_says_what_was_read_and_what_was_not():
    found = asked("show me fighting at the gate last night, blorb over 5 s")
    assert found.query == {
        "action": ["Fighting"],
        "stream": ["str_1", "str_4"],
        "since": ["2026-11-04T01:00:00Z"],
        "until": ["2026-11-04T11:00:00Z"],
        "min_duration_s": ["5"],
    }
    assert [words for words, _ in found.words] == ["fighting", "gate", "last night", "over 5 s"]
    assert dict(found.words)["last night"] == "Tue 2026-11-03, night (20:00-06:00)"
    assert found.rest == "blorb"


@pytest.mark.parametrize(
    "text", ["2026-02-30", "31.2.", "99-3", "13pm-2", "25:00-26:00", "9999-12-31", "0001-01-01", "0500-01-01"]
)
def test_what_no_calendar_and_no_clock_has_is_not_understood(text: str):
    assert asked(text).query == {}
    assert asked(text).rest


@pytest.mark.parametrize(
    ("word", "kin"),
    [("fight", "fighting"), ("fight", "fights"), ("run", "running"), ("ride", "riding"), ("push", "pushes")],
)
def test_kin_words_have_one_stem(word: str, kin: str):
    assert stem(word) == stem(kin)


@given(st.text(max_size=2 * MAX_TEXT))
def test_any_text_ends_and_is_understood_or_left(text: str):
    found = asked(text)
    assert all(values for values in found.query.values())
    assert asked(text) == found, "it always answers the same"
