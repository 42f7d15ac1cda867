"""Events with verdicts and marks, filtered and in the order of a review, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from service.local_time.time_of_day import TimeOfDay
from service.rights import ALL, Visible
from service.storage.alert_tables import IncidentRow
from service.storage.audit_sample import FIRST, draw, in_sample
from service.storage.database import Database
from service.storage.records import Cursor, EventFilter
from service.storage.review.events import EventStore
from service.storage.review.near import Special, Thresholds
from service.storage.review.records import VerdictRecord
from service.storage.review.shadow_tables import ShadowDisagreementRow
from service.storage.review.verdicts import VerdictStore
from service.storage.tables import EventRow
from tests.service.storage.conftest import with_database

ANNA, BEN = "user:usr_a", "user:usr_b"
STREAM, OTHER = "str_0000000000000001", "str_0000000000000002"
NEW_YORK = ZoneInfo("America/New_York")


def event(number: int, **changes: Any) -> EventRow:
    """Ended after 2 s, one a minute, sure."""
    at = 1_790_000_000.0 + 60 * number
    row = {
        **{"id": f"evt_{number:03d}", "stream_id": STREAM, "track_id": number, "action": "Walking", "kind": "ended"},
        **{"confidence": 0.9, "peak_confidence": 0.9, "start_s": 60.0 * number, "end_s": 60.0 * number + 2},
        **{"started_at": at, "updated_at": at + 2, "ended_at": at + 2, "last_seq": number, "model": "surveillance"},
        **{"audit": False},
    }
    return EventRow(**{**row, **changes})


def verdict(of: EventRow | str, said: str = "right", by: str = ANNA, **changes: Any) -> VerdictRecord:
    event_id = of if isinstance(of, str) else of.id
    given: dict[str, Any] = {
        **{"id": f"ver_{event_id}_{said}_{by}", "event_id": event_id, "version": 1, "superseded_by": None},
        **{"stream_id": STREAM, "stream_name": "Gate", "track_id": 1, "verdict": said, "label": "Walking"},
        **{"said": "Walking", "start_s": 0.0, "end_s": 2.0, "started_at": 1_790_000_000.0, "ended_at": 0.0},
        **{"by_id": by, "by": by, "at": 1_790_000_100.0, "model": "surveillance", "split": "train"},
        **{"near_threshold": False, "group": STREAM},
    }
    return VerdictRecord(**{**given, **changes})


def asked(url: str, rows: list[Any], work: Callable[[EventStore, VerdictStore], Awaitable[Any]]) -> Any:
    async def run(database: Database) -> Any:
        await database.write(lambda session: session.add_all(rows))
        return await work(EventStore(database), VerdictStore(database))

    return with_database(url, run)


async def numbers(events: EventStore, who: str = ANNA, **wanted: Any) -> list[int]:
    page = await events.list(EventFilter(**wanted), ALL, who, None, 100)
    return [int(seen.event.id[-3:]) for seen in page.items]


def test_filters_choose_by_verdict_mark_model_confidence_length_rule_and_sample(url: str):
    rows: list[Any] = [
        event(0, model="surveillance@2", peak_confidence=0.55),
        event(1, end_s=None, ended_at=None, updated_at=1_790_000_060.0 + 30),
        event(2, audit=True),
        event(3, end_s=185.0),
        incident("inc_1", "rul_1", ["evt_000", "evt_003"]),
        incident("inc_2", "rul_2", ["evt_001"]),
    ]

    async def work(events: EventStore, verdicts: VerdictStore) -> None:
        await verdicts.put(verdict("evt_000", "wrong", label="Running"))
        await verdicts.put(verdict("evt_001", "unsure", label=None))
        assert await events.mark(["evt_000", "evt_002"], True, ALL, ANNA) is None
        cases: tuple[tuple[dict[str, Any], list[int]], ...] = (
            ({"verdicts": ("wrong",)}, [0]),
            ({"verdicts": ("wrong", "none")}, [3, 2, 0]),
            ({"verdicts": ("none",)}, [3, 2]),
            ({"reviewed": True}, [2, 0]),
            ({"reviewed": False, "verdicts": ("none",)}, [3]),
            ({"models": ("surveillance@2",)}, [0]),
            ({"max_confidence": 0.6}, [0]),
            ({"min_duration_s": 4.0}, [3, 1]),
            ({"rules": ("rul_1",)}, [3, 0]),
            ({"rules": ("rul_1", "rul_2")}, [3, 1, 0]),
            ({"audit": True}, [2]),
            ({"audit": False, "rules": ("rul_2",)}, [1]),
        )
        for wanted, found in cases:
            assert await numbers(events, **wanted) == found, wanted
        assert await numbers(events, BEN, reviewed=True) == [], "each has marks of his own"
        (first,) = (await events.list(EventFilter(verdicts=("wrong",)), ALL, BEN, None, 9)).items
        assert first.verdict is not None and (first.verdict.label, first.reviewed) == ("Running", False)

    asked(url, rows, work)


def incident(incident_id: str, rule: str, events: list[str]) -> IncidentRow:
    return IncidentRow(
        **{"id": incident_id, "rule_id": rule, "rule_name": "R", "stream_id": STREAM, "zone": None, "action": None},
        **{"severity": "alert", "state": "ended", "tracks": [], "events": events, "started_at": 1_790_000_000.0},
        **{"updated_at": 1_790_000_000.0, "ended_at": 1_790_000_200.0, "start_s": 0.0, "terms": {}},
    )


def test_time_of_day_is_what_clocks_showed_also_in_the_hour_that_comes_twice(url: str):
    """New York, 1 November 2026: at 02:00 it becomes 01:00 again."""
    moments: tuple[str, ...]
    moments = ("2026-10-31T23:30-04:00", "2026-11-01T00:30-04:00", "2026-11-01T01:30-04:00", "2026-11-01T01:30-05:00")
    moments += (
        "2026-11-01T02:30-05:00",
        "2026-11-01T23:30-05:00",
        "2026-07-01T01:30-04:00",
        "2026-12-24T01:59:59-05:00",
    )
    rows = [event(n, started_at=datetime.fromisoformat(text).timestamp()) for n, text in enumerate(moments)]

    async def work(events: EventStore, _: VerdictStore) -> None:
        for text, found in (
            ("01:00-02:00", {2, 3, 6, 7}),
            ("22:00-01:00", {0, 1, 5}),
            ("02:00-03:00", {4}),
        ):
            span = (TimeOfDay.parse(text), NEW_YORK)
            assert set(await numbers(events, time_of_day=span)) == found, text
        since = datetime.fromisoformat("2026-11-01T00:00-04:00").timestamp()
        some: dict[str, Any] = {
            "since": since,
            "until": since + 25 * 3600,
            "time_of_day": (TimeOfDay.parse("01:00-02:00"), NEW_YORK),
        }
        assert set(await numbers(events, **some)) == {2, 3}

    asked(url, rows, work)


def test_review_begins_with_the_audit_sample_then_what_is_near_the_threshold(url: str):
    rows = [
        event(0),
        event(1, audit=True),
        event(2, peak_confidence=0.6),
        event(3, peak_confidence=0.6, action="Running"),  # whose threshold is 0.3
        event(4, audit=True),  # judged
        event(5, peak_confidence=0.85, model="careful"),
        event(6),  # which a version that is tried judged otherwise
        ShadowDisagreementRow(event_id="evt_006", version="surveillance@2", stream_id=STREAM, at=0.0),
    ]
    thresholds = Thresholds((Special("Running", 0.3, STREAM), Special("Walking", 0.8, model="careful")))

    async def work(events: EventStore, verdicts: VerdictStore) -> None:
        await verdicts.put(verdict("evt_004"))
        found, cursor = [], None
        while True:
            page = await events.to_review(EventFilter(), ALL, ANNA, thresholds, (cursor, 2))
            found += [int(seen.event.id[-3:]) for seen in page.items]
            if page.next_cursor is None:
                break
            cursor = Cursor.decode(page.next_cursor)
        assert found == [1, 6, 5, 2, 4, 3, 0]
        near = {seen.event.id: thresholds.near(seen.event) for seen in (await whole(events)).items}
        assert sorted(key for key, is_near in near.items() if is_near) == ["evt_002", "evt_005"]
        with pytest.raises(ValueError, match="next_cursor of this list"):
            await events.to_review(EventFilter(), ALL, ANNA, thresholds, (Cursor(1.0, "evt_001"), 2))

    asked(url, rows, work)


async def whole(events: EventStore) -> Any:
    return await events.list(EventFilter(), ALL, ANNA, None, 100)


def test_marks_are_for_all_or_none_and_only_for_what_is_seen(url: str):
    rows = [event(0), event(1, stream_id=OTHER), event(2)]
    mine = Visible({STREAM: None})

    async def work(events: EventStore, _: VerdictStore) -> None:
        assert await events.mark(["evt_000", "evt_001"], True, mine, ANNA) == "evt_001"
        assert await numbers(events, reviewed=True) == []
        assert await events.mark(["evt_000", "evt_002", "evt_000"], True, mine, ANNA) is None
        assert await events.mark(["evt_000"], True, mine, ANNA) is None, "twice is once"
        assert await events.mark(["evt_002"], False, mine, ANNA) is None
        assert await numbers(events, reviewed=True) == [0]
        assert await events.get("evt_001", mine, ANNA) is None
        seen = await events.get("evt_000", mine, ANNA)
        assert seen is not None and seen.reviewed

    asked(url, rows, work)


def test_verdicts_supersede_each_other_and_nothing_is_lost(url: str):
    async def work(events: EventStore, verdicts: VerdictStore) -> None:
        first = await verdicts.put(verdict("evt_000", "wrong", label="Running"))
        again = await verdicts.put(verdict("evt_000", "wrong", id="ver_again", label="Running"))
        assert again == first, "the same once more is no new version"
        second = await verdicts.put(verdict("evt_000", "right", BEN))
        assert (first.version, second.version) == (1, 2)
        assert [(v.version, v.superseded_by) for v in await verdicts.versions("evt_000")] == [(2, None), (1, second.id)]
        (seen,) = (await whole(events)).items
        assert seen.verdict == second

    asked(url, [event(0)], work)


def test_sample_takes_whole_people_many_at_first_and_its_share_later(url: str):
    def work(session: Session) -> None:
        taken = 0
        for track in range(600):
            of_person = set()
            for number in range(2):
                audit = in_sample(session, STREAM, track, 0.01)
                session.add(event(0, id=f"e{track}_{number}", track_id=track, audit=audit))
                of_person.add(audit)
                taken += audit
            assert len(of_person) == 1, "all events of a person, or none"
        early = sum(1 for track in range(600) if draw(STREAM, track) < 0.2)
        assert FIRST <= taken < early, (taken, early)
        assert {in_sample(session, OTHER, track, 0.0) for track in range(50)} == {False}
        assert all(in_sample(session, OTHER, track, 1.0) for track in range(50))

    with_database(url, lambda database: database.write(work))
