"""How often pictures come."""

from __future__ import annotations

import pytest

from pipeline.pace import Pace, TooSlow


def paced(*times_s: float) -> Pace:
    pace = Pace()
    for time_s in times_s:
        pace.note(time_s)
    return pace


def test_interval_is_known_from_the_second_picture_on_wherever_time_begins() -> None:
    assert paced(0.0).interval_s == paced().interval_s == 0.0
    assert paced(0.0, 1.1).interval_s == 1.1
    assert paced(50.0, 51.1).interval_s == pytest.approx(1.1)


def test_one_outage_is_no_pace_and_a_slow_camera_is_one() -> None:
    fast = [index / 25 for index in range(50)]
    assert paced(*fast, 30.0).interval_s == pytest.approx(0.04)
    assert paced(*fast, 5.0, 10.0, 15.0).interval_s == pytest.approx(5.0, abs=2.0)


def test_time_that_stands_still_or_goes_back_is_survived() -> None:
    assert paced(5.0, 5.0, 4.0, 4.5).interval_s == pytest.approx(0.5)


def test_limits_stretch_with_the_interval_and_never_shrink() -> None:
    assert paced(0.0, 0.04).at_least(1.0, 1.5) == 1.0
    assert paced(0.0, 2.0).at_least(1.0, 1.5) == pytest.approx(3.0)


def test_too_slow_begins_a_tenth_below_and_ends_at_the_limit() -> None:
    slightly = paced(0.0, 1.05)
    before = TooSlow(0.9, 1.0)
    assert slightly.slower_than(1.0, None) is None
    assert slightly.slower_than(1.0, before) == TooSlow(pytest.approx(1 / 1.05), 1.0)  # type: ignore[arg-type]
    assert paced(0.0, 1.0).slower_than(1.0, before) is None
    assert paced(0.0).slower_than(1.0, before) is None
