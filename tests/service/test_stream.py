"""The straight line: real tracker, buffers and smoothing; inference and sink are scripted."""

import numpy as np
import pytest

from pipeline.actions import ActionSmoother, SmootherConfig
from pipeline.clips import ClipConfig
from pipeline.entities import ActionScores, Detections, EventKind, Frame
from pipeline.stride import StrideConfig, StrideController
from pipeline.tracker import PersonTracker
from service.budget.plan import EVERYTHING, Tier
from service.budget.tiered_clips import TieredClips
from service.configuration import StagesConfig
from service.stages import build_stages
from service.stream import Stages, run_stream, why_no_labels

LABELS = ("standing", "walking")


class ScriptedInference:
    """One person walks to the right; every clip is scored as walking; can be away for some frames."""

    def __init__(self, away=range(0)):
        self.away = away
        self.clips = []
        self.detected = []

    def detect(self, frame, expected_xyxy):
        self.detected.append(frame.index)
        if frame.index in self.away:
            return None
        left = 50.0 + frame.index
        return Detections(
            np.array([[left, 60, left + 40, 180]], np.float32),
            np.array([0.9], np.float32),
            np.full((1, 4), 0.5, np.float32),
        )

    def plan(self):
        return EVERYTHING

    def submit(self, clip, gain=1.0):
        self.clips.append(clip)

    def finish(self):
        self.finished = True

    def take(self):
        scores = [
            ActionScores(
                c.track_id, LABELS, np.array([0.1, 0.9], np.float32), c.start_s, c.end_s, 0.0, 0.0, c.provisional
            )
            for c in self.clips
        ]
        self.clips = []
        return scores


class Recorder:
    def __init__(self):
        self.results, self.events = [], []

    def publish(self, result):
        self.results.append(result)
        self.events += result.events

    def publish_events(self, events, frame):
        self.events += events


def frames(count, epoch=0, first=0):
    image = np.zeros((240, 640, 3), np.uint8)
    return [Frame(image, i, i / 25, 1000 + i / 25, 0.0, epoch) for i in range(first, first + count)]


def stages(stride=1):
    controller = StrideController(StrideConfig(), adaptive=False)
    controller._stride = stride
    clips = TieredClips("m", ClipConfig(provisional_from=24))
    return Stages(PersonTracker(), clips, ActionSmoother(SmootherConfig()), controller)


def test_one_person_gets_one_id_one_label_and_one_event_that_ends_with_the_stream():
    inference, sink = ScriptedInference(), Recorder()
    run_stream(frames(150), inference, stages(), sink)
    assert len(sink.results) == 150
    assert {track.track_id for result in sink.results for track in result.tracks} == {1}
    assert sink.results[-1].labels[1].action == "walking"
    assert sink.results[-1].buffers[1] == 64
    assert [e.kind for e in sink.events if e.kind is not EventKind.UPDATED] == [EventKind.STARTED, EventKind.ENDED]
    assert len({event.event_id for event in sink.events}) == 1
    assert sink.events[-1].end_s == pytest.approx(149 / 25, abs=0.7)


def test_first_label_is_provisional_and_comes_before_the_buffer_is_full():
    inference, sink = ScriptedInference(), Recorder()
    run_stream(frames(80), inference, stages(), sink)
    labelled = [result for result in sink.results if result.labels]
    assert labelled[0].labels[1].provisional
    assert 24 <= labelled[0].buffers[1] < 64
    assert not labelled[-1].labels[1].provisional


def test_stride_leaves_frames_out_and_tracks_coast_between():
    inference, sink, line = ScriptedInference(), Recorder(), stages(stride=3)
    run_stream(frames(60), inference, line, sink)
    assert inference.detected == list(range(0, 60, 3))
    assert all(len(result.tracks) == 1 for result in sink.results[9:])
    assert line.measures.value("frames_coasted_total") == 40
    assert [result.detected for result in sink.results[:4]] == [True, False, False, True]


def test_inference_that_is_away_for_half_a_second_loses_no_track():
    sink = Recorder()
    run_stream(frames(100), ScriptedInference(away=range(40, 52)), stages(), sink)
    assert {track.track_id for result in sink.results for track in result.tracks} == {1}
    assert all(result.tracks for result in sink.results[10:])


def test_new_epoch_ends_actions_and_gives_new_ids():
    sink = Recorder()
    run_stream([*frames(120), *frames(120, epoch=1, first=120)], ScriptedInference(), stages(), sink)
    assert {track.track_id for result in sink.results[130:] for track in result.tracks} == {2}
    ended = [event.track_id for event in sink.events if event.kind is EventKind.ENDED]
    assert ended == [1, 2]


def test_source_that_raises_still_ends_the_open_actions():
    def broken():
        yield from frames(120)
        raise OSError("gone")

    sink = Recorder()
    with pytest.raises(OSError, match="gone"):
        run_stream(broken(), ScriptedInference(), stages(), sink)
    assert sink.events[-1].kind is EventKind.ENDED


@pytest.mark.parametrize(("source_hz", "which"), [(0.9, "camera"), (25.0, "machine")])
def test_lack_of_labels_is_told_with_who_is_too_slow(source_hz: float, which: str):
    stages = build_stages(StagesConfig())
    assert why_no_labels(stages, source_hz) is None
    for index in range(6):
        stages.clips.push(Frame(np.zeros((8, 8, 3), np.uint8), index, index / 0.9, 0.0, 0.0), [], Tier.FULL)
    assert why_no_labels(stages, source_hz) == f"{which} too slow: 0.9 of at least 2 pictures a second"
