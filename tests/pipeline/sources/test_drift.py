"""A live source's clock against arrival: what is wrong is found in seconds, what is ordinary is left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.sources.timestamps import BELIEVED, NO_STAMPS, Clock, ClockChoice, ClockPoint, MediaClock

SIZE = (120, 160)
RATE_HZ = 10.0

Stamp = Callable[[float], float]  # real time of a picture → its time stamp
Way = Callable[[float], float]  # real time of a picture → how long it is under way


class Camera:
    """Pictures of one connection as the clock sees them. ``play`` goes on where it ended."""

    def __init__(self, rate_hz: float = RATE_HZ, live: bool = True) -> None:
        self.clock = MediaClock(live, 1.0 / rate_hz)
        self.times_s: list[float] = []
        self.arrivals_s: list[float] = []
        self.epochs: set[int] = set()
        self._period_s, self._real_s, self._arrival_s = 1.0 / rate_hz, 0.0, 0.0

    def play(self, seconds: float, stamp: Stamp, way: Way = lambda _: 0.0) -> Camera:
        ends_s = self._real_s + seconds
        while self._real_s < ends_s:
            self._arrival_s = max(self._arrival_s, 1000.0 + self._real_s + way(self._real_s))  # in order, as by TCP
            waited_s = self._arrival_s - self.arrivals_s[-1] if self.arrivals_s else 0.1
            time_s, epoch = self.clock.stamp(stamp(self._real_s), SIZE, self._arrival_s, waited_s)
            self.times_s.append(time_s)
            self.arrivals_s.append(self._arrival_s)
            self.epochs.add(epoch)
            self._real_s += self._period_s
        return self

    @property
    def media_s(self) -> float:
        return self.times_s[-1] - self.times_s[0]

    @property
    def real_s(self) -> float:
        return self.arrivals_s[-1] - self.arrivals_s[0]


@pytest.mark.parametrize("speed", [1 / 5000, 1 / 5, 0.5, 0.8, 0.0, -1.0])
def test_clock_that_is_too_slow_is_replaced_by_arrival_and_media_time_is_as_long_as_it_was(speed: float) -> None:
    camera = Camera().play(12, lambda real_s: speed * real_s)
    assert camera.clock.choice.clock is Clock.ARRIVAL
    assert camera.clock.choice.reason == f"its time stamps pass {speed:.2g} s in a second"
    assert camera.media_s == pytest.approx(camera.real_s, abs=0.15)
    assert camera.epochs == {0}, "the picture goes on: people keep their IDs, the recording its file"


@pytest.mark.parametrize("speed", [1 / 5000, 1 / 5])
def test_the_clocks_of_the_report_are_found_within_five_seconds(speed: float) -> None:
    assert Camera().play(5, lambda real_s: speed * real_s).clock.choice.clock is Clock.ARRIVAL


@pytest.mark.parametrize("speed", [1.25, 2.0, 5.0, 5000.0])
def test_clock_that_is_too_fast_is_replaced_by_arrival(speed: float) -> None:
    camera = Camera().play(20, lambda real_s: speed * real_s)
    assert camera.clock.choice.clock is Clock.ARRIVAL
    assert max(camera.epochs) < 5
    before_s = camera.media_s
    camera.play(10, lambda real_s: speed * real_s)
    assert camera.media_s - before_s == pytest.approx(10, abs=0.01)


def test_clock_a_twentieth_off_is_found_in_little_more_than_a_minute() -> None:
    assert Camera().play(65, lambda real_s: 1.05 * real_s).clock.choice.clock is Clock.ARRIVAL


def test_clock_that_goes_wrong_after_an_honest_minute_is_found_as_soon() -> None:
    camera = Camera().play(90, lambda real_s: real_s)
    assert camera.clock.choice.clock is Clock.SOURCE
    assert camera.play(6, lambda real_s: 90 + (real_s - 90) / 5).clock.choice.clock is Clock.ARRIVAL
    assert camera.media_s == pytest.approx(camera.real_s, abs=0.15)


@pytest.mark.parametrize("rate_hz", [0.5, 1.0, 4.0, 25.0])
def test_slow_cameras_are_judged_too(rate_hz: float) -> None:
    honest = Camera(rate_hz).play(90, lambda real_s: real_s)
    assert honest.clock.choice.clock is Clock.SOURCE
    assert Camera(rate_hz).play(15, lambda real_s: real_s / 5).clock.choice.clock is Clock.ARRIVAL


@pytest.mark.parametrize("off", [1e-3, -1e-3, 1e-2])
def test_crystal_that_drifts_for_an_hour_is_believed(off: float) -> None:
    camera = Camera(rate_hz=2.0).play(3600, lambda real_s: (1 + off) * real_s)
    assert camera.clock.choice.clock is Clock.SOURCE
    assert camera.media_s == pytest.approx((1 + off) * camera.real_s, abs=1e-3)


def _stall(at_s: float, seconds: float) -> Way:
    """Nothing comes for so long, then all of it at once."""
    return lambda real_s: max(0.0, at_s + seconds - real_s) if real_s >= at_s else 0.0


def _steps(*, every_s: float, by_s: float) -> Way:
    """The latency grows for good now and then."""
    return lambda real_s: by_s * (real_s // every_s)


def _noise(seconds: float, seed: int = 1) -> Way:
    draw = np.random.default_rng(seed)
    return lambda _: float(draw.gamma(1.0, seconds))


@pytest.mark.parametrize(
    "way",
    [
        _noise(0.05),
        _noise(0.4),
        _stall(20, 3),
        _stall(20, 5.5),
        _steps(every_s=15, by_s=3),
        lambda real_s: max(0.0, 8.0 - real_s) * 0.99,  # a server that sends its last 8 s at once in the beginning
        lambda real_s: 0.5 * abs((real_s / 4) % 2 - 1),  # a delay that swings by half a second
        lambda real_s: 1.2 if 20 < real_s < 40 else 0.0,  # a way that is longer for a while
    ],
)
def test_what_networks_do_is_no_drift(way: Way) -> None:
    camera = Camera()
    for _ in range(120):
        camera.play(1, lambda real_s: real_s, way)
        assert camera.clock.choice.clock is Clock.SOURCE
    assert camera.epochs == {0}


def test_time_stamps_that_begin_anew_all_the_time_are_replaced_by_arrival() -> None:
    camera = Camera().play(30, lambda real_s: real_s % 2.0)
    assert camera.clock.choice.clock is Clock.ARRIVAL
    assert camera.clock.choice.reason == "its time stamps jumped 4 times within 30 s"
    assert max(camera.epochs) == 4
    assert camera.media_s == pytest.approx(camera.real_s, abs=0.3)


def test_single_jumps_now_and_then_replace_nothing() -> None:
    camera = Camera().play(120, lambda real_s: real_s % 13.0)
    assert camera.clock.choice.clock is Clock.SOURCE
    assert max(camera.epochs) == 9


def test_clock_that_keeps_step_again_is_believed_again_after_a_minute_in_unbroken_time() -> None:
    camera = Camera().play(10, lambda real_s: real_s / 5)
    followed = [camera.clock.choice.clock]
    followed += [camera.play(seconds, lambda real_s: 500 + real_s).clock.choice.clock for seconds in (50, 30)]
    assert followed == [Clock.ARRIVAL, Clock.ARRIVAL, Clock.SOURCE]
    assert camera.clock.choice.reason == ""
    assert camera.media_s == pytest.approx(camera.real_s, abs=0.15)
    assert camera.epochs == {0}


def test_file_is_never_judged_by_when_its_frames_are_read() -> None:
    camera = Camera(live=False).play(30, lambda real_s: real_s / 5)
    assert camera.clock.choice.clock is Clock.SOURCE
    assert camera.media_s == pytest.approx(camera.real_s / 5)


def test_source_without_time_stamps_says_so_and_one_with_gaps_in_them_does_not() -> None:
    clock = MediaClock(True, 0.1)
    for index in range(5):
        clock.stamp(None, SIZE, index / 10)
    assert (clock.choice.clock, clock.choice.reason) == (Clock.ARRIVAL, "it sends no time stamps")
    clock.stamp(7.0, SIZE, 0.5)
    assert clock.choice.clock is Clock.SOURCE
    clock.stamp(None, SIZE, 0.6)
    assert clock.choice.clock is Clock.SOURCE


def _decoded(clock: MediaClock, seconds: float, speed: float, noise_s: float) -> None:
    """A decoder that gets through ``speed`` seconds of an honest camera in a second, so that the rest waits for it."""
    for index in range(round(seconds * RATE_HZ * speed)):
        clock.stamp(index / RATE_HZ, SIZE, index / RATE_HZ / speed, waited_s=noise_s)


@pytest.mark.parametrize("noise_s", [0.00005, 0.012])  # reading what is there; the same on a machine that is full
def test_decoder_that_falls_behind_is_no_wrong_clock(noise_s: float) -> None:
    clock = MediaClock(True, 1 / RATE_HZ)
    _decoded(clock, 8, 0.5, noise_s)
    assert clock.choice == BELIEVED


def test_decoder_that_falls_behind_for_a_while_leaves_an_honest_clock_believed() -> None:
    camera = Camera().play(20, lambda real_s: real_s)
    for index in range(200):  # 20 s of pictures, read in 40 s without a pause, and caught up with in 5 s more
        camera.clock.stamp(20 + index / RATE_HZ, SIZE, 1020 + index / 5, waited_s=1e-4)
    for index in range(250):
        camera.clock.stamp(40 + index / RATE_HZ, SIZE, 1060 + index / 50, waited_s=1e-4)
    for index in range(200):
        camera.clock.stamp(65 + index / RATE_HZ, SIZE, 1065 + index / RATE_HZ, waited_s=0.1)
        assert camera.clock.choice == BELIEVED


@pytest.mark.parametrize("speed", [0.2, 3.0])
def test_wrong_clock_is_found_by_a_reader_that_works_most_of_the_time(speed: float) -> None:
    clock = MediaClock(True, 1 / RATE_HZ)
    for index in range(80):
        clock.stamp(speed * index / RATE_HZ, SIZE, index / RATE_HZ, waited_s=0.03)
    assert clock.choice.clock is Clock.ARRIVAL


def _fetched(clock: MediaClock) -> MediaClock:
    """Three segments of 6 s, as a client begins with, then each when it is due; all at three times their speed."""
    for index in range(600):
        segment, of_segment = divmod(index, 60)
        fetched_s = 2.0 * segment if segment < 3 else 6.0 * (segment - 2)
        clock.stamp(index / RATE_HZ, SIZE, fetched_s + of_segment / 30, waited_s=1 / 30)
    return clock


def test_source_that_is_fetched_in_pieces_is_not_judged_by_when_they_come() -> None:
    assert _fetched(MediaClock(True, 0.1)).choice.clock is Clock.ARRIVAL, "else this tests nothing"
    assert _fetched(MediaClock(True, 0.1, judged=False)).choice == BELIEVED


def test_wrong_clock_is_known_in_the_next_connection_and_believed_again_when_it_keeps_step() -> None:
    wrong = ClockChoice(Clock.ARRIVAL, "its time stamps pass 0.2 s in a second")
    clock = MediaClock(True, 0.1, ClockPoint(10.0, 2, 0.0, SIZE), known=wrong)
    times_s = []
    for index in range(1, 30):
        times_s.append(clock.stamp(index / 50, SIZE, index / 10)[0])
        assert clock.choice == wrong
    assert times_s == pytest.approx([10 + index / 10 for index in range(1, 30)])
    for index in range(30, 700):
        clock.stamp(index / 10, SIZE, index / 10)
    assert clock.choice == BELIEVED


def test_missing_time_stamps_are_not_expected_of_the_next_connection() -> None:
    clock = MediaClock(True, 0.1, known=NO_STAMPS)
    clock.stamp(7.0, SIZE, 0.5)
    assert clock.choice == BELIEVED
