import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.form.exercises import DEFAULTS, Exercise
from pipeline.form.joints import Sample
from pipeline.form.repetitions import GAP_S, RepetitionCounter, State, count
from tests.pipeline.form.bodies import angles, samples

ALL = list(Exercise)


def series(each_deg, hz=10.0):
    return [Sample(at / hz, angle) for at, angle in enumerate(each_deg)]


@pytest.mark.parametrize("exercise", ALL)
@pytest.mark.parametrize("hz", [6.0, 10.0, 25.0])
@pytest.mark.parametrize("repetitions", [0, 1, 5, 12])
def test_exact_count_depth_and_range_of_a_body(exercise, hz, repetitions):
    found = count(samples(exercise, angles(repetitions, 172, 70, hz=hz), hz), DEFAULTS[exercise])
    assert len(found) == repetitions
    for number, attempt in enumerate(found):
        assert attempt.samples[attempt.turn].time_s == pytest.approx(0.5 + 2 * number + 1, abs=0.25)
        assert attempt.depth_deg == pytest.approx(70, abs=12)  # six pictures a second see the turn only nearly
        assert attempt.range_deg > 60
        assert 1 <= attempt.end_s - attempt.start_s <= 2.4


@settings(max_examples=60, deadline=None)
@given(
    repetitions=st.integers(0, 8),
    period_s=st.floats(1.0, 6.0),
    top=st.floats(150, 178),
    low=st.floats(35, 95),
    stretch=st.floats(0.7, 1.6),
)
def test_stretching_time_changes_no_count(repetitions, period_s, top, low, stretch):
    rules = DEFAULTS[Exercise.PUSH_UP]
    plain = series(angles(repetitions, top, low, period_s))
    slower = [replace(sample, time_s=sample.time_s * stretch) for sample in plain]
    assert len(count(plain, rules)) == len(count(slower, rules)) == repetitions


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.floats(0, 8), repetitions=st.integers(1, 6))
def test_noise_and_single_wrong_poses_change_no_count(seed, noise, repetitions):
    draw = random.Random(seed)
    noisy = [min(180.0, angle + draw.gauss(0, noise)) for angle in angles(repetitions, 165, 60)]
    for at in range(7, len(noisy), 12):
        noisy[at] = draw.uniform(20, 180)
    assert len(count(series(noisy), DEFAULTS[Exercise.PULL_UP])) == repetitions


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0, 0.4), repetitions=st.integers(1, 6))
def test_missing_samples_change_no_count(seed, share, repetitions):
    draw, whole = random.Random(seed), series(angles(repetitions, 170, 60, period_s=3))
    seen = [sample for sample in whole if draw.random() >= share]
    assert len(count(seen, DEFAULTS[Exercise.SQUAT])) == repetitions


def test_somebody_out_of_view_for_long_has_done_nothing_meanwhile():
    half = series(angles(1, 170, 60)[:16])  # down, not up again
    later = [Sample(half[-1].time_s + GAP_S + 0.5 + at / 10, 170.0) for at in range(5)]
    assert count([*half, *later], DEFAULTS[Exercise.SQUAT]) == []


def test_half_way_down_is_no_repetition_and_who_sits_down_has_done_none():
    rules = DEFAULTS[Exercise.SQUAT]
    assert count(series(angles(4, 172, 140)), rules) == []
    sitting = [*angles(0, 172, 90), *[90.0] * 300, *[172.0] * 10]
    assert count(series(sitting), rules) == []


def test_who_never_straightens_the_arms_is_counted_when_the_next_repetition_begins():
    rules = DEFAULTS[Exercise.PUSH_UP]
    counter, told = RepetitionCounter(rules), []
    for sample in series(angles(3, rules.extended_deg - 10, 60)):
        told += [attempt] if (attempt := counter.update(sample)) else []
    assert len(told) == 2, "the third ends when somebody goes down again"
    assert [each.end_s for each in told] == pytest.approx([2.5, 4.5], abs=0.15)


def test_twitches_are_no_repetitions():
    twitch = [*[170.0] * 10, 100.0, 60.0, 100.0, *[170.0] * 10]
    assert count(series(twitch, hz=15), DEFAULTS[Exercise.PUSH_UP]) == []
    assert len(count(series(twitch, hz=5), DEFAULTS[Exercise.PUSH_UP])) == 1


def test_exercise_begins_in_its_posture_only():
    walking = [replace(sample, posture=False) for sample in series(angles(5, 170, 60))]
    counter = RepetitionCounter(DEFAULTS[Exercise.PULL_UP])
    assert [counter.update(sample) for sample in walking] == [None] * len(walking)
    assert counter.state is State.EXTENDED
