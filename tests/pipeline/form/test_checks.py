import math
from dataclasses import replace

import pytest

from pipeline.form.checks import check
from pipeline.form.exercises import DEFAULTS, Exercise, rules_with
from pipeline.form.repetitions import Attempt, count
from tests.pipeline.form.bodies import angles, samples


def one(exercise, low_deg=70.0):
    (attempt,) = count(samples(exercise, angles(1, 172, low_deg)), DEFAULTS[exercise])
    return attempt


def changed(attempt, change):
    """The same repetition with each sample changed: ``change(sample, share of the repetition that is over)``."""
    last = len(attempt.samples) - 1
    return Attempt(tuple(change(sample, at / last) for at, sample in enumerate(attempt.samples)))


@pytest.mark.parametrize("exercise", list(Exercise))
def test_good_repetition_breaks_no_rule(exercise):
    found = check(one(exercise, 60), DEFAULTS[exercise])
    assert found and set(found.values()) == {False}


def test_not_low_is_said_by_the_threshold_and_not_from_the_front():
    shallow = one(Exercise.SQUAT, 118)
    assert check(shallow, DEFAULTS[Exercise.SQUAT])["not_low"] is True
    assert check(shallow, rules_with({"squat": {"low_deg": 125}})[Exercise.SQUAT])["not_low"] is False
    frontal = changed(shallow, lambda sample, _: replace(sample, frontal=True))
    assert check(frontal, DEFAULTS[Exercise.SQUAT])["not_low"] is None


def test_rule_that_is_switched_off_is_not_asked():
    rules = rules_with({"squat": {"heels_up": None}})[Exercise.SQUAT]
    assert set(check(one(Exercise.SQUAT), rules)) == {"not_low"}


def test_heels_up_is_ankles_that_rise():
    squat, rules = one(Exercise.SQUAT), DEFAULTS[Exercise.SQUAT]
    risen = changed(squat, lambda s, at: replace(s, ankle=s.ankle + 25 * math.sin(math.pi * at)))
    assert check(risen, rules)["heels_up"] is True
    once = changed(squat, lambda s, at: replace(s, ankle=s.ankle + (60 if at == 0 or 0.49 < at < 0.51 else 0)))
    assert check(once, rules)["heels_up"] is False, "one wrong pose lifts no heel"
    unseen = changed(squat, lambda s, _: replace(s, ankle=math.nan))
    assert check(unseen, rules)["heels_up"] is None


def test_upper_body_first_is_shoulders_ahead_of_hips_seen_from_aside():
    rules, push_up = DEFAULTS[Exercise.PUSH_UP], one(Exercise.PUSH_UP)
    low = push_up.samples[push_up.turn].hip
    lagging = changed(push_up, lambda s, at: replace(s, hip=low if 0.5 < at < 0.9 else s.hip))
    assert check(lagging, rules)["upper_body_first"] is True
    never = changed(push_up, lambda s, at: replace(s, hip=low if at > 0.5 else s.hip))
    assert check(never, rules)["upper_body_first"] is True
    front = changed(lagging, lambda s, _: replace(s, aside=False))
    assert check(front, rules)["upper_body_first"] is None


def test_chin_below_bar_is_a_nose_that_stays_below_the_hands():
    rules = DEFAULTS[Exercise.PULL_UP]
    assert check(one(Exercise.PULL_UP, 100), rules)["chin_below_bar"] is True
    behind = changed(one(Exercise.PULL_UP), lambda s, _: replace(s, chin_over_hands=math.nan))
    assert check(behind, rules)["chin_below_bar"] is None
