"""Figures against values worked out by hand, and against scikit-learn on random examples."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from models.evaluation.figures.metrics import (
    accuracy,
    balanced_accuracy,
    best_threshold,
    confusion_matrix,
    counts_of,
    in_top,
    macro_f1,
    measure,
    precision_recall_curves,
    roc_curves,
)

LABELS = ("a", "b", "c")
# Truth a a a b b c; called a a b b c c.
TARGETS = np.array([0, 0, 0, 1, 1, 2])
SCORES = np.eye(3)[[0, 0, 1, 1, 2, 2]]


def test_measure_hand_computed_figures():
    found = measure(SCORES, TARGETS, LABELS)
    assert found.confusion == ((2, 1, 0), (0, 1, 1), (0, 0, 1))
    assert found.top1 == pytest.approx(4 / 6)
    a, b, c = found.classes
    assert (a.precision, a.recall, a.f1) == pytest.approx((1, 2 / 3, 0.8))
    assert (b.precision, b.recall, b.f1) == pytest.approx((0.5, 0.5, 0.5))
    assert (c.precision, c.recall, c.f1) == pytest.approx((0.5, 1, 2 / 3))
    assert found.macro_f1 == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert (a.support, b.support, c.support, a.predicted) == (3, 2, 1, 2)
    assert found.top5 is None, "three classes are always among the best five"


def test_measure_class_without_examples_is_left_out_of_the_mean_but_its_false_calls_count():
    scores = np.eye(4)[[0, 0, 3, 1]]
    found = measure(scores, np.array([0, 0, 0, 1]), ("a", "b", "c", "d"))
    assert found.macro_f1 == pytest.approx((0.8 + 1) / 2)
    assert found.classes[3].roc_auc is None and found.classes[3].average_precision is None


def test_macro_f1_of_random_examples_is_scikit_learns():
    rng = np.random.default_rng(1)
    targets, scores = rng.integers(0, 7, 200), rng.normal(size=(200, 7))
    found = measure(scores, targets, tuple("abcdefg"))
    assert found.macro_f1 == pytest.approx(f1_score(targets, scores.argmax(1), average="macro"))
    counts = counts_of(confusion_matrix(scores.argmax(1), targets, 7))
    assert float(macro_f1(counts)) == pytest.approx(found.macro_f1)
    assert float(accuracy(counts)) == pytest.approx(found.top1)


def test_in_top_counts_ties_against_the_model():
    scores = np.array([[3.0, 2, 1], [1, 1, 1], [0, 2, 3]])
    assert in_top(scores, np.array([1, 0, 0]), 2).tolist() == [True, False, False]
    assert in_top(scores, np.array([1, 0, 0]), 3).all()


def test_curves_of_a_perfect_and_a_reversed_class():
    targets = np.array([0, 0, 1, 1])
    good = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    assert [curve.area for curve in roc_curves(good, targets, ("a", "b"))] == [1, 1]
    assert [curve.area for curve in roc_curves(-good, targets, ("a", "b"))] == [0, 0]
    assert precision_recall_curves(good, targets, ("a", "b"))[0].area == pytest.approx(1)
    assert roc_curves(good, np.zeros(4, int), ("a", "b")) == [], "nothing to tell apart"


def test_best_threshold_lies_between_the_sides():
    scores = np.array([0.1, 0.2, 0.6, 0.7])
    positive = np.array([False, False, True, True])
    threshold = best_threshold(scores, positive)
    assert threshold == pytest.approx(0.4)
    assert balanced_accuracy(scores, positive, threshold) == 1
    assert balanced_accuracy(scores, positive, 0.65) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="positive and negative"):
        best_threshold(scores, np.ones(4, bool))


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        (np.zeros((2, 3)), np.array([0]), r"got \(2, 3\), \(1,\)"),
        (np.zeros((0, 3)), np.zeros(0, int), "N ≥ 1"),
        (np.full((1, 3), np.nan), np.array([0]), "finite"),
        (np.zeros((1, 3)), np.array([3]), "0..2"),
    ],
)
def test_measure_refuses_what_does_not_fit(scores, targets, message):
    with pytest.raises(ValueError, match=message):
        measure(scores, targets, LABELS)
