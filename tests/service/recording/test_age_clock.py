"""How old recordings are when somebody sets the clock."""

from __future__ import annotations

import time

import pytest

from service.recording.age_clock import AgeClock

DAY_S = 86_400.0


class Clocks:
    """A wall clock that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_800_000_000.0, 50.0
        self.age = AgeClock(lambda: self.wall, lambda: self.monotonic)

    def pass_s(self, seconds: float, steps: int = 1) -> float:
        for _ in range(steps):
            self.wall += seconds / steps
            self.monotonic += seconds / steps
            now = self.age.now()
        return now


def test_ordinary_time_and_small_corrections_are_believed() -> None:
    clocks = Clocks()
    assert clocks.pass_s(600, steps=10) == clocks.wall
    clocks.wall += 1800
    assert clocks.pass_s(60) == clocks.wall


def test_clock_set_back_is_believed_at_once() -> None:
    clocks = Clocks()
    clocks.wall -= 30 * DAY_S
    assert clocks.pass_s(60) == clocks.wall


def test_leap_forward_ages_nothing_and_is_forgotten_when_it_is_taken_back() -> None:
    clocks, before = Clocks(), Clocks().wall
    clocks.wall += 365 * DAY_S
    assert clocks.pass_s(3600, steps=60) == before + 3600
    clocks.wall -= 365 * DAY_S
    assert clocks.pass_s(60) == clocks.wall == before + 3660


def test_night_in_suspend_is_no_clock_that_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [1_800_000_000.0]
    age, clock = AgeClock(lambda: wall[0]), time.clock_gettime
    night = {time.CLOCK_BOOTTIME: 9 * 3600.0}  # the kernel's other clocks stand still meanwhile
    monkeypatch.setattr(time, "clock_gettime", lambda which: clock(which) + night.get(which, 0.0))
    wall[0] += 9 * 3600
    assert age.now() == wall[0]


def test_leap_forward_that_lasts_a_day_is_believed() -> None:
    clocks = Clocks()
    clocks.wall += 365 * DAY_S
    assert clocks.pass_s(0.9 * DAY_S, steps=90) < clocks.wall - 364 * DAY_S
    assert clocks.pass_s(0.2 * DAY_S, steps=20) == clocks.wall
    assert clocks.pass_s(600, steps=10) == clocks.wall
