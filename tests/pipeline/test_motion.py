"""The way of a box: what its features do and do not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.motion import FAR, FEATURES, POSTURE, Way, contact, motion, without_doubles

HEIGHT = 100.0
NOBODY = np.zeros((0, 50, 4))


def walk(speed: float, samples: int = 50, at: float = 0.0, height: float = HEIGHT) -> np.ndarray:
    """(T, 4): a box of ``height``, half as wide, that moves right by ``speed`` heights a second."""
    left = at + speed * height * np.arange(samples) / 25
    return np.stack([left, np.zeros(samples), left + height / 2, np.full(samples, height)], axis=1)


def test_features_have_their_number_and_are_finite_for_one_sample_too() -> None:
    for samples in (1, 2, 6, 50):
        found = motion(Way(walk(1.0, samples), np.zeros((0, samples, 4))))
        assert found.shape == (FEATURES,) and np.isfinite(found).all()


def test_speed_is_in_heights_a_second_whatever_the_distance_of_the_camera() -> None:
    near, far = (motion(Way(walk(1.5, height=height), NOBODY)) for height in (400.0, 40.0))
    assert near == pytest.approx(far, abs=1e-9)
    assert near[1] == pytest.approx(1.5)  # the middle one of the feet's speeds


def test_place_and_mirror_image_change_nothing() -> None:
    here, there = motion(Way(walk(1.0), NOBODY)), motion(Way(walk(1.0, at=700.0), NOBODY))
    assert here == pytest.approx(there, abs=1e-9)
    boxes = walk(1.0)
    mirrored = np.stack([1000 - boxes[:, 2], boxes[:, 1], 1000 - boxes[:, 0], boxes[:, 3]], axis=1)
    assert motion(Way(mirrored, NOBODY)) == pytest.approx(here, abs=1e-9)


def test_others_that_are_never_near_are_as_nobody_at_all() -> None:
    alone = motion(Way(walk(1.0), NOBODY))
    far = motion(Way(walk(1.0), walk(1.0, at=10 * FAR * HEIGHT)[None]))
    unseen = motion(Way(walk(1.0), np.full((1, 50, 4), np.nan)))
    assert far == pytest.approx(alone) and unseen == pytest.approx(alone)


def test_contact_reaches_a_little_beyond_the_boxes_and_no_further() -> None:
    touching, apart = walk(0, at=HEIGHT * 0.7), walk(0, at=HEIGHT * 0.9)  # gaps of 0.2 and 0.4 heights
    found = contact(Way(walk(0), np.stack([touching, apart])))
    assert (found[0] > 0).all() and (found[1] == 0).all()


def test_second_track_of_the_same_person_is_nobody_else() -> None:
    double, other = walk(0.5, at=3.0), walk(0, at=60.0)
    double[:20] = np.nan
    left = without_doubles(Way(walk(0.5), np.stack([double, other, np.full((50, 4), np.nan)])))
    assert len(left.others) == 1 and left.others[0] == pytest.approx(other)


@pytest.mark.parametrize("boxes", [np.zeros((0, 4)), np.zeros((50, 3)), np.zeros(4)])
def test_way_of_another_shape_is_refused(boxes: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected boxes \(T, 4\)"):
        motion(Way(boxes, NOBODY))


def lying_down(seconds: float, samples: int = 64, height: float = HEIGHT) -> np.ndarray:
    """(T, 4): a standing box that becomes a lying one in the middle, within so long."""
    progress = np.clip((np.arange(samples) / 25 - 1.0) / seconds, 0, 1)
    wide, high = height * (0.4 + 0.8 * progress), height * (1.0 - 0.7 * progress)
    return np.stack([0 * wide, height - high, wide, 0 * wide + height], axis=1)


def posture(boxes: np.ndarray) -> np.ndarray:
    found = motion(Way(boxes, np.zeros((0, len(boxes), 4))), posture=True)
    assert found.shape == (FEATURES + POSTURE,) and np.isfinite(found).all()
    assert found[:FEATURES] == pytest.approx(motion(Way(boxes, np.zeros((0, len(boxes), 4)))))
    return found[FEATURES:]


def test_posture_knows_who_comes_down_how_fast_and_who_gets_up() -> None:
    fall, slow, up = posture(lying_down(0.5)), posture(lying_down(1.4)), posture(lying_down(0.5)[::-1])
    assert fall[0] == pytest.approx(np.log(0.3), abs=0.01), "the height at the end against the beginning"
    assert fall[0] == pytest.approx(-up[0]), "who gets up grows"
    assert fall[3] == pytest.approx(0.7 / 0.48, rel=0.05) and fall[3] > 2 * slow[3], "of the top, heights a second"
    assert fall[14] == pytest.approx(np.log(4.0) - np.log(0.4), abs=0.01), "wider against the height"
    assert fall[3] == pytest.approx(-up[6]) and abs(fall[5]) < 1e-9, "what stands on the floor does not move"
    assert posture(lying_down(0.5, height=40.0)) == pytest.approx(fall, abs=1e-6), "however far the camera is"
    assert posture(lying_down(0.5)[:1]).tolist()[3:9] == [0.0] * 6, "of one sample nothing moves"
