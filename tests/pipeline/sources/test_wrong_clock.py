"""A real live stream whose time stamps pass at the wrong speed."""

from __future__ import annotations

import pytest

from pipeline.sources.timestamps import BELIEVED, Clock, ClockChoice
from tests.support.ts_camera import TsCamera
from tests.support.watcher import Watcher


@pytest.mark.parametrize("speed", [0.2, 3.0])
def test_live_stream_with_a_clock_of_another_speed_is_followed_by_arrival(speed: float) -> None:
    with TsCamera(speed) as camera, Watcher(camera.url) as watched:
        watched.wait(lambda w: w.source.stats().clock.clock is Clock.ARRIVAL)
        known = len(watched.frames)
        watched.wait(lambda w: len(w.frames) > known + 50)
        assert watched.source.stats().clock.reason.startswith("its time stamps pass ")
    later = watched.frames[known + 2 :]
    media_s, real_s = later[-1].time_s - later[0].time_s, later[-1].received_s - later[0].received_s
    assert media_s == pytest.approx(real_s, abs=0.01)
    assert {frame.epoch for frame in watched.frames} == {0}
    if speed < 1:  # what a fast clock is ahead cannot be taken back
        whole_s = watched.frames[-1].received_s - watched.frames[0].received_s
        assert watched.frames[-1].time_s - watched.frames[0].time_s == pytest.approx(whole_s, abs=0.5)


def test_live_stream_with_an_honest_clock_is_believed() -> None:
    with TsCamera(1.0) as camera, Watcher(camera.url) as watched:
        watched.wait(lambda w: len(w.frames) > 25 * 7)
        assert watched.source.stats().clock == BELIEVED


def test_wrong_clock_of_the_connection_before_is_not_believed_in_the_next() -> None:
    wrong = ClockChoice(Clock.ARRIVAL, "its time stamps pass 0.2 s in a second")
    with TsCamera(0.2) as camera:
        watched = Watcher(camera.url)
        watched.source._clock = wrong
        with watched:
            watched.wait(lambda w: len(w.frames) > 50)
            assert watched.source.stats().clock == wrong
    seen = watched.frames[30:]  # before them come at once what FFmpeg looked at to begin with
    media_s, real_s = seen[-1].time_s - seen[0].time_s, seen[-1].received_s - seen[0].received_s
    assert media_s == pytest.approx(real_s, abs=0.01)
