"""One body's 17 keypoints → what is measured of it at one moment. Mirrored pictures measure the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.entities import Floats
from pipeline.form.exercises import Exercise

# COCO's order; of pairs the left one, the right one follows.
NOSE, SHOULDER, ELBOW, WRIST, HIP, KNEE, ANKLE = 0, 5, 7, 9, 11, 13, 15
LEAST_CONFIDENCE = 0.3
FRONTAL_DEG = 25.0  # the limb is so much shorter than its angle says: it bends towards the camera

_LIMBS = {Exercise.SQUAT: (HIP, KNEE, ANKLE), Exercise.PUSH_UP: (SHOULDER, ELBOW, WRIST)}
_LIMBS[Exercise.PULL_UP] = _LIMBS[Exercise.PUSH_UP]
Limb = list[tuple[float, float]]  # three points x, y


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of one body. NaN where the picture does not show it; heights in pixels, upwards.

    ``limb``: length in pixels of the shin or forearm.

    ``angle_deg``: of the joint that bends, both sides' mean. ``posture``: whether the body is as the exercise begins.
    ``frontal``: the angle is read from the limb's length, which tells less of depth. ``aside``: the trunk lies across
    the picture, so that hips and shoulders can be compared.
    """

    time_s: float
    angle_deg: float
    posture: bool = True
    frontal: bool = False
    aside: bool = False
    limb: float = 1.0
    shoulder: float = math.nan
    hip: float = math.nan
    ankle: float = math.nan
    chin_over_hands: float = math.nan


def measure(keypoints: Floats, exercise: Exercise, time_s: float) -> Sample | None:
    """float32 (17, 3) x, y, confidence → a sample; None where no limb of the exercise is seen whole."""
    sides = _limbs(keypoints, _LIMBS[exercise])
    if not sides:
        return None
    angle = sum(map(_angle_deg, sides)) / len(sides)
    reach = sum(map(_reach_deg, sides)) / len(sides)
    frontal = exercise is Exercise.SQUAT and reach < angle - FRONTAL_DEG
    length = sum(math.dist(limb[1], limb[2]) for limb in sides) / len(sides)
    return Sample(
        time_s,
        min(angle, reach) if frontal else angle,
        posture=_POSTURES[exercise](keypoints),
        frontal=frontal,
        aside=_lies_across(keypoints, length),
        limb=length,
        shoulder=-_y(keypoints, SHOULDER),
        hip=-_y(keypoints, HIP),
        ankle=-_y(keypoints, ANKLE),
        chin_over_hands=_y(keypoints, WRIST) - _y(keypoints, NOSE),  # COCO has no chin
    )


def _limbs(keypoints: Floats, joints: tuple[int, int, int]) -> list[Limb]:
    """→ the limbs that are seen whole, at most both sides'."""
    sides = [keypoints[[joint + side for joint in joints]] for side in (0, 1)]  # 2 × (3, 3)
    limbs = [_points(rows) for rows in sides if np.isfinite(rows).all() and rows[:, 2].min() >= LEAST_CONFIDENCE]
    return [limb for limb in limbs if math.dist(limb[0], limb[1]) > 0 and math.dist(limb[1], limb[2]) > 0]


def _points(rows: Floats) -> Limb:
    return [(float(x), float(y)) for x, y in rows[:, :2]]


def _angle_deg(limb: Limb) -> float:
    """At the middle joint; 180 is straight."""
    (ax, ay), (bx, by), (cx, cy) = limb
    lengths = math.dist(limb[0], limb[1]) * math.dist(limb[1], limb[2])
    cosine = ((ax - bx) * (cx - bx) + (ay - by) * (cy - by)) / lengths
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def _reach_deg(limb: Limb) -> float:
    """The angle that a limb of two equal parts has when its ends are so far apart: right also seen from the front."""
    reach = math.dist(limb[0], limb[2]) / (2 * math.dist(limb[1], limb[2]))
    return math.degrees(2 * math.asin(min(1.0, reach)))


def _y(keypoints: Floats, joint: int) -> float:
    """→ the mean of the sides that are seen, in pixels downwards; NaN where none is."""
    pair = keypoints[joint : joint + (1 if joint == NOSE else 2)]
    seen = pair[pair[:, 2] >= LEAST_CONFIDENCE, 1]
    return float(seen.mean()) if len(seen) else math.nan


def _lies_across(keypoints: Floats, length: float) -> bool:
    """Whether shoulders and hips are a forearm apart from left to right."""
    return bool(abs((_centre(keypoints, SHOULDER) - _centre(keypoints, HIP))[0]) > length)


def _upright(keypoints: Floats) -> bool:
    """Shoulders above hips above ankles, as far as they are seen."""
    shoulder, hip, ankle = (_y(keypoints, joint) for joint in (SHOULDER, HIP, ANKLE))
    return not (shoulder > hip or hip > ankle)  # NaN says nothing against it


def _hanging(keypoints: Floats) -> bool:
    return not _y(keypoints, WRIST) > _y(keypoints, SHOULDER)


def _on_hands(keypoints: Floats) -> bool:
    """Hands below the shoulders, and feet not a trunk's length below the hands, as those of a standing person are."""
    shoulder, hip, wrist, ankle = (_y(keypoints, joint) for joint in (SHOULDER, HIP, WRIST, ANKLE))
    trunk = np.hypot(*(_centre(keypoints, SHOULDER) - _centre(keypoints, HIP)))
    standing = hip > shoulder and ankle - wrist > trunk
    return not (wrist < shoulder or standing)


def _centre(keypoints: Floats, joint: int) -> Floats:
    """→ float32 (2,) x, y between the sides that are seen; NaN where none is."""
    pair = keypoints[joint : joint + 2]
    seen = pair[pair[:, 2] >= LEAST_CONFIDENCE, :2]
    return np.asarray(seen.mean(axis=0) if len(seen) else np.full(2, np.nan), np.float32)


_POSTURES = {Exercise.SQUAT: _upright, Exercise.PUSH_UP: _on_hands, Exercise.PULL_UP: _hanging}
