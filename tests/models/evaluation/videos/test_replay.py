"""A stored run played through the smoother again: the service's events, each with the time at which it was told."""

import numpy as np
import pytest

from models.evaluation.videos.replay import Replay, ToldEvents
from pipeline.actions import SmootherConfig
from pipeline.entities import ActionEvent, EventKind
from tests.models.scripted_run import clip, run, track

RUN = run([track(1, range(0, 40))], [clip(1, 0.0, 1.0, 1), clip(1, 1.0, 2.0, 1), clip(1, 2.0, 3.0, 0, 0.9)])


def test_replay_tells_when_each_event_was_told_and_can_be_played_again():
    replay = Replay(RUN)
    (standing,) = replay.events(SmootherConfig(time_constant_s=1e-6))
    assert (standing.action, standing.start_s, standing.told_s, standing.end_s) == ("Standing", 1.0, 2.0, 3.0)
    quick = replay.events(SmootherConfig(time_constant_s=1e-6, min_duration_s=0.0))
    assert [(event.action, event.told_s) for event in quick] == [("Standing", 1.0), ("Fighting", 3.0)]
    assert replay.events(SmootherConfig(on=0.95)) == (), "other settings, the same answers"


def test_replay_of_an_empty_run_says_nothing():
    assert Replay(run([], frames=0)).events(SmootherConfig()) == ()


def test_told_events_of_one_that_began_elsewhere_have_no_time():
    told = ToldEvents()
    told.add([ActionEvent("e", 1, "Walking", EventKind.ENDED, 0.9, 1.0, 2.0, 0.0)], 2.0)
    (event,) = told.events
    assert event.told_s is None and event.end_s == 2.0


@pytest.mark.parametrize("seed", range(20))
def test_replay_thinned_says_the_same(seed: int):
    rng = np.random.default_rng(seed)
    begins = rng.integers(0, 300, 4)
    ends = begins + rng.integers(1, 100, 4)
    tracks = [track(number, range(first, last)) for number, (first, last) in enumerate(zip(begins, ends, strict=True))]
    moments = [(n, rng.integers(first, last) / 10) for n, (first, last) in enumerate(zip(begins, ends, strict=True))]
    clips = [
        clip(n, at - 1, at, int(rng.integers(3)), rng.random()) for n, at in moments for at in (at, at + 0.6, at + 20)
    ]
    replay = Replay(run(tracks, clips, frames=400))
    for config in (SmootherConfig(min_duration_s=0.0), SmootherConfig(on=0.4, off=0.2, stale_after_s=3.0)):
        assert replay.thinned().events(config) == replay.events(config)
    assert len(replay.thinned().frames) < 100
