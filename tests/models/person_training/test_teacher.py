"""What several views say of a picture becomes certain, doubtful or nothing."""

from __future__ import annotations

import numpy as np
import pytest

from models.person_training.evaluation import TruePeople
from models.person_training.pictures import cover, from_text, to_text
from models.person_training.teacher import Votes, fuse, judge
from pipeline.entities import Detections, Floats

BOX = np.array([[10, 10, 30, 50]], np.float32)


def seen(box: Floats, confidence: float) -> Detections:
    return Detections(np.asarray(box, np.float32).reshape(-1, 4), np.array([confidence], np.float32))


def votes(main: list[float], witnesses: list[float]) -> Votes:
    return Votes(BOX, np.array([main], np.float32), np.array([witnesses], np.float32))


def test_fuse_means_boxes_by_confidence_and_keeps_each_views_vote() -> None:
    boxes, found = fuse([seen(BOX, 0.6), seen(BOX + 2, 0.2), seen(BOX + 100, 0.5)])
    assert len(boxes) == 2
    np.testing.assert_allclose(boxes[0], BOX[0] + 0.5, atol=1e-5)  # (0.6·0 + 0.2·2) / 0.8
    np.testing.assert_allclose(found, [[0.6, 0.2, 0], [0, 0, 0.5]])


def test_fuse_two_people_of_one_view_stay_two() -> None:
    crowd = Detections(np.concatenate([BOX, BOX + 3]), np.array([0.9, 0.8], np.float32))
    boxes, found = fuse([crowd, seen(BOX, 0.7)])
    assert len(boxes) == 2
    assert found[:, 0].tolist() == pytest.approx([0.9, 0.8])


def test_fuse_nothing_gives_nothing() -> None:
    nobody = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    boxes, found = fuse([nobody, nobody])
    assert boxes.shape == (0, 4)
    assert found.shape == (0, 2)


@pytest.mark.parametrize(
    ("main", "witnesses", "certain", "doubtful"),
    [
        ([0.6, 0.4, 0.0], [0.0], True, False),  # two views agree
        ([0.9, 0.0, 0.0], [0.0], True, False),  # their mean still is 0.45
        ([0.5, 0.0, 0.0], [0.0], False, True),  # one view alone
        ([0.5, 0.0, 0.0], [1.0], True, False),  # with a track
        ([0.15, 0.0, 0.0], [0.0], False, False),  # background
        ([0.15, 0.0, 0.0], [0.4], False, True),
        ([0.0, 0.0, 0.0], [0.9], False, False),  # a witness makes no person of its own
    ],
)
def test_judge_follows_the_rules(main: list[float], witnesses: list[float], certain: bool, doubtful: bool) -> None:
    people = judge(votes(main, witnesses))
    assert (len(people.boxes_xyxy) == 1, len(people.ignored_xyxy) == 1) == (certain, doubtful)


def test_judge_a_part_of_a_surer_person_is_in_doubt() -> None:
    both = np.array([[0, 0, 40, 100], [2, 2, 38, 50]], np.float32)
    people = judge(Votes(both, np.array([[0.9, 0.9], [0.6, 0.6]], np.float32), np.zeros((2, 1), np.float32)))
    np.testing.assert_array_equal(people.boxes_xyxy, both[:1])
    np.testing.assert_array_equal(people.ignored_xyxy, both[1:])


def test_cover_hides_free_doubtful_people_only() -> None:
    image = np.full((100, 200, 3), 9, np.uint8)
    doubtful = np.array([[150, 10, 170, 40], [12, 12, 32, 52], [60, 0, 140, 100]], np.float32)
    covered = cover(image, TruePeople(BOX, doubtful))
    assert (covered[10:40, 150:170] == 114).all()
    assert (covered == 114).all(axis=2).sum() == 30 * 20  # neither the one on a certain person nor the huge one
    assert (image == 9).all()


def test_label_text_round_trip_clips_to_the_picture() -> None:
    text = to_text(np.array([[-5, 10, 50, 90], [300, 300, 310, 310]], np.float32), (100, 200))
    assert text.splitlines() == ["0 0.125000 0.500000 0.250000 0.800000"]
    np.testing.assert_allclose(from_text(text, (100, 200)), [[0, 10, 50, 90]], atol=1e-3)
    assert from_text("", (100, 200)).shape == (0, 4)
