import math

import numpy as np
import pytest

from pipeline.form.exercises import Exercise
from pipeline.form.joints import ANKLE, ELBOW, HIP, KNEE, SHOULDER, WRIST, measure
from tests.pipeline.form.bodies import body

ALL = list(Exercise)


@pytest.mark.parametrize("exercise", ALL)
@pytest.mark.parametrize("angle", [60.0, 90.0, 120.0, 175.0])
def test_angle_is_that_of_the_joint_that_bends(exercise, angle):
    sample = measure(body(exercise, angle), exercise, 1.5)
    assert sample is not None and sample.time_s == 1.5
    assert sample.angle_deg == pytest.approx(angle, abs=1)
    assert sample.posture and sample.limb == pytest.approx(100, abs=1)


@pytest.mark.parametrize("exercise", ALL)
def test_mirrored_far_and_shifted_bodies_measure_the_same(exercise):
    keypoints = body(exercise, 100)
    other = keypoints.copy()
    other[:, 0] = 640 - other[:, 0]  # the left side becomes the right one
    other[:, :2] = other[:, :2] / 3 + (40, 20)
    here, there = (measure(each, exercise, 0) for each in (keypoints, other))
    assert here is not None and there is not None
    assert there.angle_deg == pytest.approx(here.angle_deg, abs=0.1)
    assert (there.posture, there.aside) == (here.posture, here.aside)
    assert there.limb == pytest.approx(here.limb / 3, abs=0.1)


@pytest.mark.parametrize("exercise", ALL)
def test_one_side_is_enough_and_none_is_no_sample(exercise):
    keypoints = body(exercise, 90)
    right = keypoints.copy()
    right[[SHOULDER, ELBOW, WRIST, HIP, KNEE, ANKLE], 2] = 0.1
    sample = measure(right, exercise, 0)
    assert sample is not None and sample.angle_deg == pytest.approx(90, abs=1)
    keypoints[:, 2] = 0.1
    assert measure(keypoints, exercise, 0) is None


def test_keypoints_that_are_no_numbers_or_in_one_place_are_no_sample():
    keypoints = body(Exercise.SQUAT, 90)
    keypoints[KNEE : KNEE + 2, :2] = np.nan
    assert measure(keypoints, Exercise.SQUAT, 0) is None
    keypoints[:, :2] = 5
    assert measure(keypoints, Exercise.SQUAT, 0) is None


def test_squat_towards_the_camera_is_read_from_the_legs_length():
    """From the front thigh and shin lie in one line; only the leg gets shorter."""
    keypoints = body(Exercise.SQUAT, 180)
    keypoints[[HIP, HIP + 1], 1] += 60  # of a thigh of 100 pixels
    sample = measure(keypoints, Exercise.SQUAT, 0)
    assert sample is not None and sample.frontal
    assert sample.angle_deg == pytest.approx(2 * math.degrees(math.asin(140 / 200)), abs=2)


def test_postures_in_which_an_exercise_does_not_begin():
    standing, hanging = body(Exercise.SQUAT, 178), body(Exercise.PULL_UP, 175)
    lying = body(Exercise.PUSH_UP, 170)
    begins = {
        exercise: [bool(sample and sample.posture) for sample in (measure(each, exercise, 0) for each in bodies)]
        for exercise, bodies in {
            Exercise.SQUAT: (standing, lying),
            Exercise.PUSH_UP: (lying, standing, hanging),
            Exercise.PULL_UP: (hanging, standing, lying),
        }.items()
    }
    assert begins == {
        Exercise.SQUAT: [True, True],  # a plank's shoulders lie above its hips, too; its knees do not bend
        Exercise.PUSH_UP: [True, False, False],
        Exercise.PULL_UP: [True, False, False],
    }
