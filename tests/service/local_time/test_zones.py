"""Clocks that are changed: New York on 1 November and 8 March 2026, Lord Howe's half hour, a zone without changes."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pytest

from service.local_time.zones import at, local, offset_s, pieces, zone_named

NEW_YORK = zone_named("America/New_York")
FALL_BACK = datetime(2026, 11, 1, 6, 0, tzinfo=timezone.utc).timestamp()  # 02:00 there, which becomes 01:00


def test_offsets_of_a_span_change_at_the_very_second():
    found = pieces(NEW_YORK, FALL_BACK - 3 * 86_400, FALL_BACK + 5 * 86_400)
    assert [(piece.begin - FALL_BACK, piece.offset_s) for piece in found] == [(-3 * 86_400, -14_400), (0, -18_000)]
    assert found[-1].end == FALL_BACK + 5 * 86_400
    assert offset_s(NEW_YORK, FALL_BACK - 1) == -14_400


def test_a_year_has_its_changes_and_a_zone_without_any_is_one_piece():
    begin, end = (datetime(year, 1, 1, tzinfo=timezone.utc).timestamp() for year in (2026, 2027))
    assert [piece.offset_s for piece in pieces(NEW_YORK, begin, end)] == [-18_000, -14_400, -18_000]
    assert [piece.offset_s for piece in pieces(zone_named("Australia/Lord_Howe"), begin, end)] == [
        39_600,
        37_800,
        39_600,
    ]
    assert len(pieces(zone_named("Asia/Tokyo"), begin, end)) == 1


def test_midnights_of_a_day_with_25_hours_are_25_hours_apart():
    assert at(NEW_YORK, date(2026, 11, 2)) - at(NEW_YORK, date(2026, 11, 1)) == 25 * 3600
    assert at(NEW_YORK, date(2026, 11, 1), 1, 30) == FALL_BACK - 1800, "the first of two"


def test_time_that_clocks_leave_out_is_the_one_behind_it():
    moment = local(NEW_YORK, at(NEW_YORK, date(2026, 3, 8), 2, 30))
    assert (moment.hour, moment.minute) == (3, 0)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "Europe", "x" * 300])
def test_names_that_are_no_zone_are_refused(name: str):
    with pytest.raises(ValueError, match="expected a time zone"):
        zone_named(name)
