"""The timeline of many cameras: what overlaps the span, its density, and where recordings have gaps."""

from __future__ import annotations

from typing import Any

import pytest

from service.rights import ALL, Visible
from service.storage.database import Database
from service.storage.review import timeline
from service.storage.review.events import EventStore
from service.storage.review.timeline import Span, TimelineStore
from service.storage.review.verdicts import VerdictStore
from service.storage.tables import RecordingRow
from tests.service.storage.conftest import with_database
from tests.service.storage.review.test_events import ANNA, BEN, OTHER, STREAM, event, incident, verdict

BEGIN = 1_790_000_000.0


def recording(number: int, begin: float, end: float, stream: str = STREAM) -> RecordingRow:
    return RecordingRow(
        **{"id": f"rec_{number}", "stream_id": stream, "path": f"{number}.mp4", "started_at": begin, "ended_at": end},
        **{"start_s": 0.0, "duration_s": end - begin, "bytes": 1, "frames": 1, "width": 1, "height": 1},
    )


def read(url: str, rows: list[Any], span: Span, visible: Visible = ALL, who: str = ANNA) -> timeline.TimelineRecord:
    async def run(database: Database) -> timeline.TimelineRecord:
        await database.write(lambda session: session.add_all(rows))
        await VerdictStore(database).put(verdict("evt_001", "wrong"))
        await EventStore(database).mark(["evt_001"], True, ALL, ANNA)
        return await TimelineStore(database).read(span, visible, who)

    found: timeline.TimelineRecord = with_database(url, run)
    return found


def rows() -> list[Any]:
    return [
        event(0),  # is over when the span begins
        event(1),
        event(2, started_at=BEGIN - 50, ended_at=None),  # goes on
        event(3, stream_id=OTHER),
        event(4),  # begins when it ends
        incident("inc_1", "rul_1", ["evt_001", "evt_009"]),
        recording(1, BEGIN - 10, BEGIN + 50),
        recording(2, BEGIN + 50.5, BEGIN + 110),
        recording(3, BEGIN + 170, BEGIN + 230),
        recording(4, BEGIN - 500, BEGIN - 440),
        recording(5, BEGIN, BEGIN + 60, OTHER),
    ]


def test_span_shows_what_overlaps_it_with_verdicts_marks_and_alerts(url: str):
    found = read(url, rows(), Span(BEGIN + 30, BEGIN + 240))
    assert found.events == (
        ("evt_003", OTHER, 3, "Walking", BEGIN + 180, BEGIN + 182, 0.9, None, False, False),
        ("evt_001", STREAM, 1, "Walking", BEGIN + 60, BEGIN + 62, 0.9, "wrong", True, True),
        ("evt_002", STREAM, 2, "Walking", BEGIN - 50, None, 0.9, None, False, False),
    )
    assert found.left_out == 0
    assert {key: [span[0] for span in spans] for key, spans in found.recordings.items()} == {
        STREAM: ["rec_1", "rec_2", "rec_3"],
        OTHER: ["rec_5"],
    }
    assert sum(row[2] for row in found.density) == 2, "those that began in it"


def test_only_what_is_asked_for_and_may_be_seen_is_there(url: str):
    only = read(url, rows(), Span(BEGIN, BEGIN + 300, (OTHER,)), who=BEN)
    assert [row[0] for row in only.events] == ["evt_003"] and list(only.recordings) == [OTHER]
    assert [row[2] for row in only.density] == [1]
    none = read_again(url, Span(BEGIN, BEGIN + 300), Visible({STREAM: BEGIN + 100}))
    assert [row[0] for row in none.events] == ["evt_004"], "what was before is hidden"
    assert [span[0] for span in none.recordings[STREAM]] == ["rec_3"]


def read_again(url: str, span: Span, visible: Visible) -> timeline.TimelineRecord:
    found: timeline.TimelineRecord = with_database(
        url, lambda database: TimelineStore(database).read(span, visible, BEN)
    )
    return found


def test_too_many_events_are_counted_and_many_recordings_told_as_runs(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timeline, "MAX_EVENTS", 2)
    monkeypatch.setattr(timeline, "MAX_SPANS", 3)
    found = read(url, rows(), Span(BEGIN + 30, BEGIN + 240))
    assert ([row[0] for row in found.events], found.left_out) == (["evt_003", "evt_001"], 1)
    assert found.recordings[STREAM] == (("rec_1", BEGIN - 10, BEGIN + 110), ("rec_3", BEGIN + 170, BEGIN + 230))


def test_a_month_of_short_recordings_shows_no_pauses_that_are_none(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timeline, "MAX_SPANS", 3)
    monkeypatch.setattr(timeline, "MAX_RUNS", 4)
    begins = [60.0 * minute for minute in range(30) if minute not in (10, 11)]
    many = [
        recording(100 * camera + number, BEGIN + begin, BEGIN + begin + 60, f"str_{camera}")
        for camera in range(3)
        for number, begin in enumerate(begins)
    ]
    found = read(url, [event(1), *many], Span(BEGIN, BEGIN + 1800))
    early, late = (BEGIN, BEGIN + 600), (BEGIN + 720, BEGIN + 1800)
    told = {key: [(first, *times) for first, *times in runs] for key, runs in found.recordings.items()}
    assert [len(runs) for runs in told.values()].count(1) == 2 and found.recordings_left_out == 2
    assert all(runs[-1] == (f"rec_{100 * int(key[-1]) + 10}", *late) for key, runs in told.items())
    assert sum(runs[0][1:] == early for runs in told.values()) == 1, "of each camera its newest is there"


@pytest.mark.parametrize(("hours", "bucket_s"), [(1, 60), (24, 300), (24 * 31, 14_400)])
def test_density_is_as_fine_as_a_page_is_wide(hours: int, bucket_s: int):
    span = Span(BEGIN, BEGIN + 3600 * hours)
    assert span.bucket_s == bucket_s and 3600 * hours / bucket_s <= 300
