"""Which segments go: by age, by what incidents show, by room."""

from pathlib import Path
from typing import Any

import pytest

from service.recording.retention import Limits, removable
from service.recording.room_watch import RoomWatch
from service.storage.segment import Needed, Segment


def gone(*arguments: Any, **named: Any) -> list[Segment]:
    return list(removable(*arguments, **named))


def stored(number: int, size: int = 100, stream_id: str = "a") -> Segment:
    """Segment ``number`` of ten seconds each, from Unix time 1000 on."""
    path = Path(stream_id) / f"{number}.mp4"
    began = 1000.0 + 10 * number
    return Segment(path, None, began, 10.0 * number, 10.0, 100, size, (48, 64), stream_id=stream_id)


FIVE = [stored(number) for number in range(5)]  # until 1050


def test_by_age_takes_what_ended_too_long_ago():
    assert gone(FIVE, Limits(max_age_s=25.0), now=1_050.0) == FIVE[:2]


def test_by_size_takes_the_oldest_first():
    assert gone(FIVE[::-1], Limits(max_bytes=250), now=1_050.0) == FIVE[:3]


def test_within_limits_takes_nothing():
    assert gone(FIVE[:2], Limits(1_000.0, 200), now=1_020.0) == []
    assert gone(FIVE[:1], Limits(), now=1e9) == []


def test_counts_size_after_age():
    segments = [stored(0, size=1_000), stored(1), stored(2)]
    assert gone(segments, Limits(25.0, 200), now=1_040.0) == segments[:1]


def test_what_an_incident_shows_outlives_the_rest():
    needed = [Needed("a", 1012.0, 1021.0)]  # the second segment and the third
    limits = Limits(max_age_s=5.0, incident_age_s=100.0)
    assert gone(FIVE, limits, 1_100.0, needed) == [FIVE[0], *FIVE[3:]]
    assert gone(FIVE, limits, 1_122.0, needed) == FIVE, "the incident is too old as well"


def test_what_a_kept_incident_shows_never_goes():
    needed = [Needed("a", 1012.0, 1018.0, kept=True)]
    assert gone(FIVE, Limits(5.0, 0, 5.0), 1e9, needed) == [FIVE[0], *FIVE[2:]]


def test_by_size_incidents_give_way_last():
    needed = [Needed("a", 1000.0, 1009.0)]
    limits = Limits(max_bytes=200, incident_age_s=1e6)
    assert gone(FIVE, limits, 1_050.0, needed) == FIVE[1:4]
    assert gone(FIVE, Limits(max_bytes=50, incident_age_s=1e6), 1_050.0, needed) == [*FIVE[1:], FIVE[0]]


def test_an_incident_needs_nothing_of_another_stream():
    assert gone(FIVE, Limits(max_age_s=5.0), 1_100.0, [Needed("b", 0.0, 1e9, kept=True)]) == FIVE


@pytest.mark.parametrize(("now", "count"), [(1_080.0, 2), (1_030.0, 0)])
def test_a_stream_recorded_for_incidents_keeps_a_buffer(now: float, count: int):
    other = stored(0, stream_id="b")
    limits = Limits(max_age_s=1e6, buffer_s=55.0)
    assert gone([*FIVE, other], limits, now, for_incidents={"a": 0.0}) == FIVE[:count]


def test_pre_roll_is_there_when_an_incident_begins_late():
    limits = Limits(max_age_s=1e6, incident_age_s=1e6, buffer_s=0.0)
    needed = [Needed("a", 1035.0, 1060.0)]
    assert gone(FIVE, limits, 1_060.0, needed, {"a": 0.0}) == FIVE[:3]


def test_what_was_recorded_before_the_stream_was_recorded_for_incidents_stays():
    limits = Limits(max_age_s=1e6, buffer_s=5.0)
    assert gone(FIVE, limits, 1_100.0, for_incidents={"a": 1_020.0}) == FIVE[2:]


def test_an_incident_that_goes_on_needs_all_that_comes():
    needed = [Needed("a", 1_012.0, float("inf"))]
    limits = Limits(max_age_s=5.0, incident_age_s=5.0, buffer_s=5.0)
    assert gone(FIVE, limits, 1e6, needed, {"a": 0.0}) == FIVE[:1]


def test_what_goes_because_others_are_kept_is_told_apart():
    kept = [Needed("a", 1012.0, 1018.0, kept=True)]
    found = removable(FIVE, Limits(max_bytes=300), 1_050.0, kept)
    assert (list(found.too_old), list(found.too_much)) == ([], [FIVE[0], FIVE[2]])
    assert (found.crowded_out, found.bytes, found.kept_bytes) == (1, 300, 100)
    without = removable(FIVE, Limits(max_bytes=300), 1_050.0)
    assert (list(without), without.crowded_out, without.kept_bytes) == (FIVE[:2], 0, 0)


def test_room_watch_counts_each_cause_and_tells_of_kept_ones_once(caplog: pytest.LogCaptureFixture):
    watch, limits = RoomWatch(150), Limits(max_age_s=25.0, max_bytes=150)
    watch.take(removable(FIVE, limits, 1_050.0))
    assert watch.problem == "" and caplog.records == []
    kept = [Needed("a", 1032.0, 1038.0, kept=True)]
    for _ in range(2):
        watch.take(removable(FIVE, limits, 1_050.0, kept))
    assert "keep fewer" in watch.problem and len(caplog.records) == 1
    counters, gauges = watch.measures()["counters"], watch.measures()["gauges"]
    assert counters == {
        "recordings_deleted_total:age": 6,
        "recordings_deleted_total:room": 4,
        "recordings_deleted_total:kept": 2,
    }
    assert (gauges["recordings_kept_bytes"], gauges["recordings_crowded"]) == (100, 1)
    watch.take(removable(FIVE[:1], limits, 1_010.0))
    assert watch.problem == ""
