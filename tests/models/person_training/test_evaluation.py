"""Matching and average precision against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.person_training.evaluation import Matched, TruePeople, average_precision, match, match_picture
from pipeline.entities import Detections

NOBODY = np.empty((0, 4), np.float32)


def boxes(*lefts: float) -> np.ndarray:
    """Boxes of 10 × 20 pixels at these places."""
    return np.array([[left, 0, left + 10, 20] for left in lefts], np.float32).reshape(-1, 4)


def detections(*pairs: tuple[float, float]) -> Detections:
    return Detections(boxes(*(left for left, _ in pairs)), np.array([c for _, c in pairs], np.float32))


def test_match_picture_gives_each_person_to_the_surest_detection() -> None:
    right, counts = match_picture(detections((1, 0.6), (0, 0.9), (50, 0.8)), TruePeople(boxes(0), NOBODY))
    assert right.tolist() == [False, True, False]
    assert counts.tolist() == [True, True, True]


def test_match_picture_passes_over_what_is_neither_right_nor_wrong() -> None:
    right, counts = match_picture(detections((0, 0.9), (50, 0.8)), TruePeople(boxes(0), boxes(50)))
    assert right.tolist() == [True, False]
    assert counts.tolist() == [True, False]


def test_match_picture_overlap_below_a_half_is_wrong() -> None:
    right, _ = match_picture(detections((4, 0.9)), TruePeople(boxes(0), NOBODY))  # IoU 6/14
    assert right.tolist() == [False]


def test_scores_at_a_confidence_are_hand_computed() -> None:
    found = Matched(np.array([0.9, 0.8, 0.7, 0.2], np.float32), np.array([True, False, True, True]), people=4)
    score = found.at(0.5)
    assert (score.recall, score.precision) == (pytest.approx(2 / 4), pytest.approx(2 / 3))
    # recall steps of 1/4 at the hits; precision made monotone: 1, 3/4, 3/4
    assert score.average_precision == pytest.approx((1 + 3 / 4 + 3 / 4) / 4)
    assert found.at(0.95).precision == 1.0


def test_average_precision_of_nothing_is_zero() -> None:
    assert average_precision(np.empty(0, np.float32), np.empty(0, bool), 3) == 0.0
    assert average_precision(np.empty(0, np.float32), np.empty(0, bool), 0) == 0.0


def test_match_adds_pictures_up() -> None:
    answers = iter([detections((0, 0.9)), detections((70, 0.4))])
    image = np.zeros((30, 100, 3), np.uint8)
    pictures = [(image, TruePeople(boxes(0, 30), NOBODY)), (image, TruePeople(boxes(70), NOBODY))]
    found = match(pictures, lambda _: next(answers))
    assert found.people == 3
    assert found.right.tolist() == [True, True]
