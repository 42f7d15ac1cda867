"""Media time never goes back, whatever a source claims."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.timestamps import ClockPoint, MediaClock, Pacer, frame_period_s

SIZE = (120, 160)
PERIOD_S = 0.04


def stamps(clock: MediaClock, pts: list[float | None], arrivals: list[float]) -> list[tuple[float, int]]:
    return [clock.stamp(pts_s, SIZE, arrival_s) for pts_s, arrival_s in zip(pts, arrivals, strict=True)]


@given(
    st.booleans(),
    st.lists(st.tuples(st.none() | st.floats(-1e5, 1e5), st.floats(0, 20), st.sampled_from([SIZE, (10, 10)]))),
)
def test_time_rises_and_epoch_never_falls(
    live: bool, frames: list[tuple[float | None, float, tuple[int, int]]]
) -> None:
    clock, arrival_s, got = MediaClock(live, PERIOD_S), 100.0, []
    for pts_s, wait_s, size_hw in frames:
        arrival_s += wait_s
        got.append(clock.stamp(pts_s, size_hw, arrival_s))
    for (time_s, epoch), (next_time_s, next_epoch) in itertools.pairwise(got):
        assert next_time_s > time_s
        assert next_epoch in (epoch, epoch + 1)


def test_live_outage_takes_as_long_in_media_time_as_it_did() -> None:
    clock = MediaClock(True, PERIOD_S, after=ClockPoint(10.0, 3, 500.0, SIZE))
    assert clock.stamp(7777.0, SIZE, 512.5) == (22.5, 4)
    assert clock.stamp(7777.04, SIZE, 512.6) == (pytest.approx(22.54), 4)


def test_loop_of_a_file_goes_on_one_frame_later() -> None:
    clock = MediaClock(False, PERIOD_S, after=ClockPoint(10.0, 0, 500.0, SIZE))
    assert clock.stamp(0.0, SIZE, 900.0) == (pytest.approx(10.04), 1)


def test_burst_after_a_stall_is_no_jump() -> None:
    clock = MediaClock(True, PERIOD_S)
    got = stamps(clock, [0.0, 0.04, 0.08, 4.0], [0.0, 0.04, 5.0, 5.01])
    assert [epoch for _, epoch in got[:3]] == [0, 0, 0]
    assert got[2][0] == pytest.approx(0.08)


def test_long_pause_with_matching_timestamps_is_no_jump() -> None:
    assert stamps(MediaClock(True, PERIOD_S), [0.0, 8.0], [0.0, 8.1]) == [(0.0, 0), (8.0, 0)]


@pytest.mark.parametrize("jump_s", [-95443.0, -1.0, 100.0])
def test_live_jump_is_bridged_by_arrival(jump_s: float) -> None:
    got = stamps(MediaClock(True, PERIOD_S), [50.0, 50.04 + jump_s, 50.08 + jump_s], [0.0, 0.05, 0.09])
    assert got == [(0.0, 0), (pytest.approx(0.05), 1), (pytest.approx(0.09), 1)]


def test_small_step_back_is_jitter() -> None:
    got = stamps(MediaClock(True, PERIOD_S), [0.0, 0.08, 0.04, 0.12], [0.0, 0.08, 0.09, 0.12])
    assert [epoch for _, epoch in got] == [0, 0, 0, 0]
    assert got[3][0] == pytest.approx(0.12)


def test_missing_timestamps_use_arrival_when_live_and_the_rate_otherwise() -> None:
    live = stamps(MediaClock(True, PERIOD_S), [None, None, 9.0, 9.04], [0.0, 0.2, 0.4, 0.5])
    assert live == [(0.0, 0), (pytest.approx(0.2), 0), (pytest.approx(0.4), 0), (pytest.approx(0.44), 0)]
    recorded = stamps(MediaClock(False, PERIOD_S), [None, None, None], [0.0, 5.0, 5.1])
    assert [time_s for time_s, _ in recorded] == pytest.approx([0.0, 0.04, 0.08])


def test_change_of_size_is_a_new_epoch_in_unbroken_time() -> None:
    clock = MediaClock(False, PERIOD_S)
    assert clock.stamp(0.0, SIZE, 0.0) == (0.0, 0)
    assert clock.stamp(0.04, (240, 320), 0.01) == (pytest.approx(0.04), 1)


def test_pacer_holds_frames_until_due_and_forgives_a_late_consumer() -> None:
    pacer = Pacer()
    assert pacer.hold_s(3.0, 100.0) == 0.0
    assert pacer.hold_s(3.5, 100.1) == pytest.approx(0.4)
    assert pacer.hold_s(4.0, 101.5) == 0.0  # half a second late: catches up
    assert pacer.hold_s(4.5, 101.5) == pytest.approx(0.0)
    assert pacer.hold_s(5.0, 110.0) == 0.0  # eight seconds late: the schedule moves
    assert pacer.hold_s(6.0, 110.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("rate_hz", "period_s"), [(None, 0.04), (0.0, 0.04), (90000.0, 0.04), (10.0, 0.1), (29.97, 1 / 29.97)]
)
def test_absurd_rates_become_25_a_second(rate_hz: float | None, period_s: float) -> None:
    assert frame_period_s(rate_hz) == pytest.approx(period_s)
