"""A stream that goes on with another version between two frames, and what is counted of one that is tried beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from pipeline.actions import SmootherConfig
from pipeline.clips import ClipConfig
from pipeline.entities import ActionEvent, ActionScores, EventKind, Frame, FrameResult, Track, TrackState
from service.configuration import StagesConfig
from service.processes import version_follower
from service.processes.messages import LiveReport
from service.processes.stream_process import LinkAudience
from service.processes.version_follower import Trial, VersionFollower
from service.processes.version_messages import ShadowReport, UseModel
from service.stages import build_stages
from service.stream import Stages
from service.versions.tally import ShadowTally

CLIP = ClipConfig(length=16, size=16)
GYM = StagesConfig(CLIP, model="gym", light_model="gym-light", light_clip=CLIP)
NEXT = replace(GYM, model="gym@2", light_model="gym-light@2", smoother=SmootherConfig(thresholds={"squat": 0.7}))
LABELS = ("squat", "lunge")
SQUAT, LUNGE = (0.95, 0.05), (0.05, 0.95)
PERSON = Track(1, np.array([0, 0, 8, 8], np.float32), TrackState.CONFIRMED, 0.9)


class ScriptedInference:
    def __init__(self) -> None:
        self.changed: list[tuple[str, str]] = []
        self.judged: list[tuple[ActionScores, ActionScores]] = []

    def change_networks(self, model: str, light: str) -> None:
        self.changed.append((model, light))

    def take_judged(self) -> list[tuple[ActionScores, ActionScores]]:
        judged, self.judged = self.judged, []
        return judged


def frames(count: int) -> Iterator[Frame]:
    for index in range(count):
        yield Frame(np.zeros((8, 8, 3), np.uint8), index, index / 25, 0.0, 0.0)


def result(time_s: float, events: Sequence[ActionEvent] = (), tracks: tuple[Track, ...] = (PERSON,)) -> FrameResult:
    return FrameResult(
        Frame(np.zeros((8, 8, 3), np.uint8), 0, time_s, 1000 + time_s, 0.0), tracks, events=tuple(events)
    )


def scores(end_s: float, probabilities: tuple[float, float], model: str = "gym") -> ActionScores:
    return ActionScores(1, LABELS, np.array(probabilities, np.float32), end_s - 2, end_s, 0.0, 0.0, model=model)


def told(event_id: str, kind: EventKind, confidence: float = 0.9) -> ActionEvent:
    return ActionEvent(event_id, 1, "squat", kind, confidence, 0.0, None, 0.0, "gym")


def follower(
    first: UseModel, clock: Callable[[], float] = time.monotonic
) -> tuple[VersionFollower, Stages, ScriptedInference, list[ShadowReport]]:
    stages, inference, reports = build_stages(first.stages), ScriptedInference(), list[ShadowReport]()
    return VersionFollower(first, stages, inference, reports.append, clock), stages, inference, reports  # type: ignore[arg-type]


def test_version_is_changed_before_the_next_frame_and_once():
    version, stages, inference, _ = follower(UseModel(GYM))
    seen = []
    for frame in version.between(frames(4)):
        seen.append((frame.index, version.model))
        if frame.index == 1:
            version.use(UseModel(NEXT))
    assert seen == [(0, "gym"), (1, "gym"), (2, "gym@2"), (3, "gym@2")]
    assert inference.changed == [("gym@2", "gym-light@2")]
    assert stages.smoother._config == NEXT.smoother


def test_trial_that_begins_or_ends_changes_no_network():
    """A process that was started again counts its tracks on; that is no other version."""
    version, stages, inference, _ = follower(UseModel(replace(GYM, first_track_id=7)))
    smoother = stages.smoother._config
    for shadow in (NEXT, None):
        version.use(UseModel(GYM, shadow))
        list(version.between(frames(1)))
    assert inference.changed == [] and stages.smoother._config is smoother


def test_live_picture_tells_how_many_crops_fill_the_buffer_of_the_version_that_serves():
    version, _, _, _ = follower(UseModel(GYM))
    told: list[LiveReport] = []
    link = SimpleNamespace(setup=SimpleNamespace(stream_id="str_1"), latest=told.append)
    audience = LinkAudience(link, lambda: version.buffer_size)  # type: ignore[arg-type]
    audience.live(np.zeros(1, np.uint8), result(1.0))
    version.use(UseModel(replace(NEXT, clip=replace(CLIP, length=32))))
    list(version.between(frames(1)))
    audience.live(np.zeros(1, np.uint8), result(2.0))
    assert [each.wire["tracks"][0]["buffer_size"] for each in told] == [16, 32]


def test_what_a_version_says_beside_its_network_stays_for_answers_under_way():
    one, other, third = object(), object(), object()
    version, stages, _, _ = follower(UseModel(replace(GYM, motion={"gym": one})))  # type: ignore[dict-item]
    version.use(UseModel(replace(NEXT, motion={"gym@2": other})))  # type: ignore[dict-item]
    list(version.between(frames(1)))
    assert stages.motion.heads == {"gym": one, "gym@2": other}
    version.use(UseModel(replace(NEXT, model="gym@3", motion={"gym@3": third})))  # type: ignore[dict-item]
    list(version.between(frames(1)))
    assert stages.motion.heads == {"gym@2": other, "gym@3": third}


def test_trial_counts_clips_that_agree_and_events_of_either_version():
    trial = Trial(GYM, NEXT, build_stages(GYM).motion)
    for end_s in (2.0, 3.0, 4.0):
        trial.see(result(end_s), [(scores(end_s, SQUAT), scores(end_s, SQUAT, "gym@2"))])
    for end_s in (5.0, 6.0, 7.0, 8.0):
        trial.see(result(end_s), [(scores(end_s, LUNGE), scores(end_s, SQUAT, "gym@2"))])
    trial.see(result(9.0, tracks=()), [])
    tally = trial.tally()
    assert (tally.version, tally.clips, tally.agreed) == ("gym@2", 7, 3)
    assert {action: sum(tenths) for action, tenths in tally.champion.items()} == {"squat": 1, "lunge": 1}
    assert {action: sum(tenths) for action, tenths in tally.challenger.items()} == {"squat": 1}
    assert tally.challenger["squat"][9] == 1, "it reached 0.95"
    assert replace(trial.tally(), seconds=0) == ShadowTally("gym@2", 0, 0, 0, {}, {}, {})


def test_events_that_go_on_while_the_versions_disagree_are_disputed():
    trial = Trial(GYM, NEXT, build_stages(GYM).motion)
    trial.see(result(1.0, [told("evt_1", EventKind.STARTED)]), [(scores(1.0, SQUAT), scores(1.0, SQUAT, "gym@2"))])
    assert trial.tally().disagreed == ()
    trial.see(result(2.0, [told("evt_2", EventKind.STARTED)]), [(scores(2.0, SQUAT), scores(2.0, LUNGE, "gym@2"))])
    assert trial.tally().disagreed == ("evt_1", "evt_2")
    trial.see(result(3.0, [told("evt_1", EventKind.ENDED)]), [(scores(3.0, SQUAT), scores(3.0, LUNGE, "gym@2"))])
    tally = trial.tally()
    assert tally.disagreed == ("evt_2",)
    assert tally.told == {"squat": (0,) * 9 + (1,)}


def test_trial_is_reported_now_and_then_at_the_end_and_when_it_is_over():
    clock = [100.0]
    version, _, inference, reports = follower(UseModel(GYM, NEXT), lambda: clock[0])
    inference.judged = [(scores(1.0, SQUAT), scores(1.0, SQUAT, "gym@2"))]
    version.see(result(1.0))
    assert reports == []
    clock[0] += version_follower.REPORT_EVERY_S
    version.see(result(2.0))
    assert [(each.tally.clips, each.tally.seconds) for each in reports] == [(1, version_follower.REPORT_EVERY_S)]
    version.use(UseModel(GYM))
    list(version.between(frames(1)))
    assert len(reports) == 2
    inference.judged = [(scores(3.0, SQUAT), scores(3.0, SQUAT, "gym@2"))]
    version.see(result(3.0))
    clock[0] += 100
    version.see(result(4.0))
    assert len(reports) == 2, "nothing is tried any more"


def test_without_a_trial_nothing_is_reported():
    version, _, _, reports = follower(UseModel(GYM))
    version.see(result(1.0))
    version.ended([told("evt_1", EventKind.ENDED)])
    list(version.between(frames(2)))
    assert reports == []
