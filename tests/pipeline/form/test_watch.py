from dataclasses import replace

import numpy as np
import pytest

from pipeline.entities import Frame, Poses, Track, TrackLabel, TrackState
from pipeline.form.exercises import Exercise, rules_with
from pipeline.form.watch import FormConfig, FormWatch, TimedPoses, assigned
from tests.pipeline.form.bodies import angles, body

IMAGE = np.zeros((720, 1280, 3), np.uint8)


def frame(time_s):
    return Frame(IMAGE, round(time_s * 10), time_s, 1000 + time_s, 0.0)


def track(track_id, shift=0.0, state=TrackState.CONFIRMED):
    return Track(track_id, np.array([150 + shift, 50, 700 + shift, 640], np.float32), state, 0.9)


def poses(*bodies):
    """Each body and how far to the right it is."""
    keypoints = np.stack([each + np.array([shift, 0, 0], np.float32) for each, shift in bodies])
    boxes = np.array([[150 + shift, 60, 690 + shift, 630] for _, shift in bodies], np.float32)
    return Poses(boxes, np.full(len(bodies), 0.9, np.float32), keypoints)


def label(action):
    return TrackLabel(action, 0.9, {action: 0.9}, 0.0, False)


def run(watch, moments, labels=lambda time_s: {}, delay=2):
    """``moments``: (time, tracks, poses) of each frame; poses arrive ``delay`` frames late → what was told."""
    told, late = [], []
    for number, (time_s, tracks, found) in enumerate(moments):
        if watch.due(frame(time_s), tracks, 10.0):
            late.append((number + delay, TimedPoses(time_s, found)))
        arrived = [each for at, each in late if at == number]
        told += watch.update(arrived, tracks, labels(time_s), time_s)
    return told


SEVEN = (track(7),)


def squats(count, who=SEVEN, exercise=Exercise.SQUAT, hz=10.0):
    series = [*angles(count, 172, 70, hz=hz), *[172.0] * 10]
    return [(at / hz, who, poses((body(exercise, angle), 0))) for at, angle in enumerate(series)]


def test_repetitions_of_one_person_with_count_range_duration_and_wall_clock():
    watch = FormWatch(FormConfig(Exercise.SQUAT))
    told = run(watch, squats(3))
    assert [(each.track_id, each.exercise, each.count) for each in told] == [(7, "squat", n) for n in (1, 2, 3)]
    first = told[0]
    assert first.turn_s == pytest.approx(1.5, abs=0.15) and first.start_s < first.turn_s < first.end_s
    assert first.range_deg > 60 and first.checks == {"not_low": False, "heels_up": False}
    assert first.captured_at == pytest.approx(1000 + first.end_s, abs=0.3)
    assert watch.counted() == {7: ("squat", 3)}


def test_without_a_configuration_it_asks_for_nothing_and_counts_nothing():
    watch = FormWatch()
    assert not watch.on and run(watch, squats(2)) == [] and watch.counted() == {}


def test_poses_are_asked_for_as_often_as_the_plan_says_and_only_while_somebody_is_there():
    watch = FormWatch(FormConfig(Exercise.SQUAT))
    asked = [watch.due(frame(at / 30), [track(1)], 10.0) for at in range(90)]
    assert sum(asked) == 30
    assert not watch.due(frame(10), [], 10.0) and not watch.due(frame(11), [track(1)], 0.0)
    assert not watch.due(frame(12), [track(1, state=TrackState.TENTATIVE)], 10.0)


def test_two_people_side_by_side_are_counted_each_for_himself():
    moving, still = [*angles(2, 172, 70)], 172.0
    moments = [
        (
            at / 10,
            (track(1), track(2, shift=560)),
            poses((body(Exercise.SQUAT, still), 560), (body(Exercise.SQUAT, angle), 0)),
        )
        for at, angle in enumerate([*moving, *[172.0] * 8])
    ]
    assert {each.track_id for each in run(FormWatch(FormConfig(Exercise.SQUAT)), moments)} == {1}


def test_new_track_begins_at_one_and_late_poses_of_somebody_gone_are_dropped():
    watch, first = FormWatch(FormConfig(Exercise.SQUAT)), squats(1)
    later = [(time_s + 100, (track(8),), found) for time_s, _, found in squats(1)]
    told = run(watch, [*first, *later])
    assert [(each.track_id, each.count) for each in told] == [(7, 1), (8, 1)]
    assert watch.counted() == {8: ("squat", 1)}
    assert watch.update([TimedPoses(3.0, first[0][2])], (), {}, 200.0) == ()


def test_auto_counts_what_the_label_names_also_where_the_label_comes_late():
    watch = FormWatch(FormConfig())
    told = run(watch, squats(3), lambda time_s: {7: label("Squats")} if time_s > 4 else {})
    assert [(each.exercise, each.count) for each in told] == [("squat", 1), ("squat", 2), ("squat", 3)]
    assert run(FormWatch(FormConfig()), squats(3), lambda _: {7: label("Walking")}) == []
    assert run(FormWatch(FormConfig()), squats(3), lambda _: {7: label("push up")}) == []


def test_thresholds_of_the_stream_decide():
    rules = rules_with({"squat": {"low_deg": 60}})
    told = run(FormWatch(FormConfig(Exercise.SQUAT, rules)), squats(1))
    assert told[0].checks["not_low"] is True


def test_people_and_bodies_are_paired_by_overlap_each_once():
    people = np.array([[0, 0, 10, 20], [8, 0, 18, 20], [100, 0, 110, 20]], np.float32)
    found = np.array([[7, 0, 17, 20], [1, 0, 11, 20], [300, 0, 310, 20]], np.float32)
    assert sorted(assigned(people, found)) == [(0, 1), (1, 0)]
    assert assigned(people, np.zeros((0, 4), np.float32)) == []


def test_camera_at_other_rates_than_the_plan_counts_the_same():
    for hz in (6.0, 8.0, 25.0):
        watch = FormWatch(FormConfig(Exercise.PULL_UP))
        moments = squats(4, exercise=Exercise.PULL_UP, hz=hz)
        assert [each.count for each in run(watch, moments)] == [1, 2, 3, 4], hz
    assert replace(track(1)).track_id == 1
