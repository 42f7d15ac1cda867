"""The straight line: real tracker, buffers and smoothing; inference and sink are scripted."""

import numpy as np
import pytest

from pipeline.actions import ActionSmoother, SmootherConfig
from pipeline.clips import ClipConfig
from pipeline.entities import ActionScores, Detections, EventKind, Frame, Poses, TrackState, Zone
from pipeline.form.exercises import Exercise
from pipeline.form.watch import FormConfig, FormWatch, TimedPoses
from pipeline.motion_voice import MotionVoice
from pipeline.stride import StrideConfig, StrideController
from pipeline.tracker import PersonTracker
from service.budget.plan import EVERYTHING, Tier
from service.budget.tiered_clips import TieredClips
from service.configuration import StagesConfig
from service.stages import build_stages
from service.stream import Stages, run_stream, why_no_labels
from tests.pipeline.form.bodies import body
from tests.pipeline.motion_heads import speed_head

LABELS = ("standing", "walking")


class ScriptedInference:
    """One person walks to the right; every clip is scored as walking; can be away for some frames."""

    def __init__(self, away=range(0)):
        self.away = away
        self.clips = []
        self.detected = []
        self.asked = []

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

    def ask_poses(self, frame):
        self.asked.append(frame.time_s)

    def take_poses(self):
        return []

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


class GoneInference(ScriptedInference):
    """The person is in view for 120 frames."""

    def detect(self, frame, expected_xyxy):
        found = super().detect(frame, expected_xyxy)
        return found if frame.index < 120 else Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


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


class ExercisingInference(ScriptedInference):
    """The person does squats; poses arrive three frames after they were asked for."""

    def ask_poses(self, frame):
        super().ask_poses(frame)
        angle = 121 + 51 * np.cos(2 * np.pi * frame.time_s / 2)
        keypoints = body(Exercise.SQUAT, angle)[None]
        box = np.array([[50.0 + frame.index, 60, 90.0 + frame.index, 180]], np.float32)
        self.waiting.append((frame.index + 3, TimedPoses(frame.time_s, Poses(box, np.ones(1, np.float32), keypoints))))

    def __init__(self):
        super().__init__()
        self.waiting = []

    def take_poses(self):
        arrived = [each for at, each in self.waiting if at <= self.detected[-1]]
        self.waiting = [item for item in self.waiting if item[0] > self.detected[-1]]
        return arrived


def test_exercises_are_counted_where_the_stream_asks_for_it_and_cost_nothing_elsewhere():
    inference, sink, line = ExercisingInference(), Recorder(), stages()
    line.form = FormWatch(FormConfig(Exercise.SQUAT))
    line.zones.zones = (Zone("all", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))),)
    run_stream(frames(250), inference, line, sink)
    told = [each for result in sink.results for each in result.repetitions]
    assert [(each.track_id, each.exercise, each.count) for each in told] == [(1, "squat", n) for n in (1, 2, 3, 4)]
    assert {each.zones for each in told} == {("all",)}
    assert sink.results[-1].counted == {1: ("squat", 4)}
    assert 0.3 <= len(inference.asked) / 250 <= 0.5, "ten of 25 pictures a second"
    inference = ExercisingInference()
    run_stream(frames(50), inference, stages(), sink)
    assert inference.asked == []


@pytest.mark.parametrize(("share", "label"), [(0.8, "standing"), (0.0, "walking")])
def test_boxes_speak_beside_the_network(share, label):
    """The person moves a fifth of its height a second: to the head, that is standing."""
    sink, line = Recorder(), stages()
    line.motion = MotionVoice({"": speed_head(LABELS, share)})
    run_stream(frames(150), ScriptedInference(), line, sink)
    assert sink.results[-1].labels[1].action == label


def test_results_and_events_say_in_which_zone_a_person_is():
    inference, sink, line = ScriptedInference(away=range(120, 150)), Recorder(), stages()
    right = Zone("right", ((0.2, 0.0), (1.0, 0.0), (1.0, 1.0), (0.2, 1.0)))
    line.zones.zones = (right,)
    run_stream(frames(300), inference, line, sink)
    entered = next(n for n, result in enumerate(sink.results) if result.inside)
    assert 60 <= entered <= 64  # the feet are at 128 of 640 pixels in frame 58; the tracker's box lags a little
    assert sink.results[entered].inside == {1: ("right",)}
    assert {result.zones for result in sink.results} == {(right,)}
    assert {event.zones for event in sink.events if event.captured_at < 1000 + entered / 25} == {()}
    assert sink.events[-1].kind is EventKind.ENDED
    assert sink.events[-1].zones == ("right",)


def test_end_of_an_action_names_the_zone_that_the_person_left_the_picture_in():
    inference, sink, line = GoneInference(), Recorder(), stages()
    line.zones.zones = (Zone("right", ((0.2, 0.0), (1.0, 0.0), (1.0, 1.0), (0.2, 1.0))),)
    run_stream(frames(300), inference, line, sink)
    last, ended = next((r, e) for r in sink.results for e in r.events if e.kind is EventKind.ENDED)
    assert all(track.state is TrackState.DELETED for track in last.tracks)
    assert (ended.zones, last.inside) == (("right",), {})


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
