"""Bodies drawn by hand: 17 keypoints of a person at an exercise, from the angle of the joint that bends.

Seen from aside, 100 pixels a shin or forearm, x to the right and y downwards as in a picture.
"""

from __future__ import annotations

import math

import numpy as np

from pipeline.entities import Floats
from pipeline.form.exercises import Exercise
from pipeline.form.joints import ANKLE, ELBOW, HIP, KNEE, NOSE, SHOULDER, WRIST, Sample, measure

LIMB = 100.0


def body(exercise: Exercise, angle_deg: float) -> Floats:
    """→ float32 (17, 3): where the joints are when knees or elbows have that angle, every one of confidence 0.9."""
    points = {Exercise.SQUAT: _squat, Exercise.PUSH_UP: _push_up, Exercise.PULL_UP: _pull_up}[exercise](angle_deg)
    keypoints = np.zeros((17, 3), np.float32)
    for joint, (x, y) in points.items():
        keypoints[joint] = (x, y, 0.9)
        if joint != NOSE:
            keypoints[joint + 1] = (x + 4, y, 0.9)  # the other side, a little beside it
    return keypoints


def _squat(angle_deg: float) -> dict[int, tuple[float, float]]:
    """Shins upright on the floor at y 600; the thigh turns about the knee, the trunk stays upright."""
    knee, turn = (300.0, 500.0), math.radians(180 - angle_deg)
    hip = knee[0] + LIMB * math.sin(turn), knee[1] - LIMB * math.cos(turn)
    shoulder = hip[0], hip[1] - 140
    return {ANKLE: (300, 600), KNEE: knee, HIP: hip, SHOULDER: shoulder, **_arms(shoulder, 1)}


def _arms(shoulder: tuple[float, float], down: int) -> dict[int, tuple[float, float]]:
    x, y = shoulder
    return {ELBOW: (x + 10, y + down * 70), WRIST: (x + 10, y + down * 140), NOSE: (x, y - 40)}


def _bent(wrist: tuple[float, float], angle_deg: float, up: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """→ elbow and shoulder over (``up`` 1) or under (-1) the hand, two equal parts with that angle between."""
    half = math.radians(angle_deg / 2)
    reach = 2 * LIMB * math.sin(half)
    elbow = wrist[0] + LIMB * math.cos(half), wrist[1] - up * LIMB * math.sin(half)
    return elbow, (wrist[0], wrist[1] - up * reach)


def _push_up(angle_deg: float) -> dict[int, tuple[float, float]]:
    """Hands and feet on the floor at y 500, the trunk a straight line from the feet to the shoulders."""
    wrist, ankle = (200.0, 500.0), (650.0, 490.0)
    elbow, shoulder = _bent(wrist, angle_deg, 1)
    hip = (shoulder[0] * 0.55 + ankle[0] * 0.45, shoulder[1] * 0.55 + ankle[1] * 0.45)
    knee = ((hip[0] + ankle[0]) / 2, (hip[1] + ankle[1]) / 2)
    points = {WRIST: wrist, ELBOW: elbow, SHOULDER: shoulder, HIP: hip, KNEE: knee, ANKLE: ankle}
    return {**points, NOSE: (shoulder[0] - 50, shoulder[1] + 10)}


def _pull_up(angle_deg: float) -> dict[int, tuple[float, float]]:
    """Hands at the bar at y 100, everything else hangs from them."""
    elbow, shoulder = _bent((300.0, 100.0), angle_deg, -1)
    x, y = shoulder
    points = {WRIST: (300.0, 100.0), ELBOW: elbow, SHOULDER: shoulder, NOSE: (x, y - 125)}
    return {**points, HIP: (x, y + 140), KNEE: (x, y + 240), ANKLE: (x, y + 340)}


def angles(repetitions: int, top_deg: float, low_deg: float, period_s: float = 2.0, hz: float = 10.0) -> list[float]:
    """→ one a sample: half a second of rest, then so many cosines down and up again, half a second of rest."""
    rest = [top_deg] * round(hz / 2)
    count = round(repetitions * period_s * hz)
    middle, swing = (top_deg + low_deg) / 2, (top_deg - low_deg) / 2
    moving = [middle + swing * math.cos(2 * math.pi * at / (period_s * hz)) for at in range(count)]
    return [*rest, *moving, *rest]


def samples(exercise: Exercise, each_deg: list[float], hz: float = 10.0) -> list[Sample]:
    found = [measure(body(exercise, angle), exercise, at / hz) for at, angle in enumerate(each_deg)]
    return [sample for sample in found if sample is not None]
