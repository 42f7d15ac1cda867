"""How good classifications are: accuracy, precision, recall, F1, confusion matrix, ROC and precision-recall curves.

Everything is computed from ``scores`` float (N, C), higher for likelier classes, and ``targets`` int (N,). The counts
that most figures rest on add up over examples, so that the bootstrap can sum them by group
(``models/evaluation/figures/bootstrap.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Value(BaseModel):
    """A figure, or a table of them, that is written as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassMetrics(Value):
    """One class. Undefined figures (no example, or never predicted) are 0 for precision, recall, F1, else None."""

    label: str
    support: int
    predicted: int
    precision: float
    recall: float
    f1: float
    roc_auc: float | None = None  # against all other classes
    average_precision: float | None = None


class Metrics(Value):
    """``macro_f1`` is the mean over the classes that have examples; ``confusion`` has truth in rows (C, C)."""

    count: int
    top1: float
    top5: float | None  # None with five classes or fewer, where it says nothing
    macro_f1: float
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]


class Curve(Value):
    """One class against the others. ``x``, ``y``: false-positive and true-positive rate, or recall and precision."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    area: float


def measure(scores: Floats, targets: Ints, labels: Sequence[str]) -> Metrics:
    """``scores`` (N, C), ``targets`` (N,) class indices, ``labels`` (C,). Raises ValueError when they do not fit."""
    check(scores, targets, len(labels))
    confusion = confusion_matrix(scores.argmax(axis=1), targets, len(labels))
    counts = counts_of(confusion)
    areas = [
        {
            "roc_auc": _roc_auc(scores[:, index], targets == index),
            "average_precision": _average_precision(scores[:, index], targets == index),
        }
        for index in range(len(labels))
    ]
    return Metrics(
        count=len(targets),
        top1=float(accuracy(counts)),
        top5=float(in_top(scores, targets, 5).mean()) if len(labels) > 5 else None,
        macro_f1=float(macro_f1(counts)),
        classes=tuple(
            item.model_copy(update=area) for item, area in zip(class_table(counts, labels), areas, strict=True)
        ),
        confusion=to_rows(confusion),
    )


def class_table(counts: Floats, labels: Sequence[str]) -> tuple[ClassMetrics, ...]:
    """(C, 3) of ``counts_of`` → the figures of each class that rest on counts."""
    precision, recall, f1 = class_scores(counts)
    return tuple(
        ClassMetrics(
            label=label,
            support=int(counts[index, 2]),
            predicted=int(counts[index, 1]),
            precision=float(precision[index]),
            recall=float(recall[index]),
            f1=float(f1[index]),
        )
        for index, label in enumerate(labels)
    )


def to_rows(confusion: Ints) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(value) for value in row) for row in confusion)


def check(scores: Floats, targets: Ints, classes: int) -> None:
    """Raises ValueError unless there are N ≥ 1 finite rows of ``classes`` scores and N targets among them."""
    if scores.ndim != 2 or scores.shape != (len(targets), classes) or len(targets) == 0:
        raise ValueError(f"expected scores (N, {classes}) and targets (N,), N ≥ 1; got {scores.shape}, {targets.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    if targets.min() < 0 or targets.max() >= classes:
        raise ValueError(f"targets must be 0..{classes - 1}, got {targets.min()}..{targets.max()}")


def confusion_matrix(predicted: Ints, targets: Ints, classes: int) -> Ints:
    """Class indices (N,), (N,) → int (C, C): how often truth (row) was called prediction (column)."""
    flat = np.asarray(targets) * classes + np.asarray(predicted)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def counts_of(confusion: Floats | Ints) -> Floats:
    """(C, C) → (C, 3): each class's hits, predictions and examples, on which accuracy and F1 rest; they add up."""
    return np.stack([np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1)], axis=1).astype(np.float64)


def accuracy(counts: Floats) -> Floats:
    """Any number of tables (B, C, 3) of ``counts_of``, weighted or not → (B,); 0 for empty ones."""
    return ratio(counts[..., 0].sum(axis=-1), counts[..., 2].sum(axis=-1))


def macro_f1(counts: Floats) -> Floats:
    """(B, C, 3) → (B,): the mean F1 of the classes that have examples; 0 for empty tables."""
    there = counts[..., 2] > 0
    return ratio((class_scores(counts)[2] * there).sum(axis=-1), there.sum(axis=-1))


def class_scores(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """(B, C, 3) → precision, recall and F1, (B, C) each; 0 where undefined."""
    hits, predicted, actual = counts[..., 0], counts[..., 1], counts[..., 2]
    return ratio(hits, predicted), ratio(hits, actual), ratio(2 * hits, predicted + actual)


def ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Floats:
    """Element by element; 0 where ``whole`` is 0."""
    part_f, whole_f = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part_f, whole_f, out=np.zeros(np.broadcast(part_f, whole_f).shape), where=whole_f > 0)


def in_top(scores: Floats, targets: Ints, places: int) -> NDArray[np.bool_]:
    """→ bool (N,): whether the true class is among the ``places`` best. Ties count against the model."""
    own = scores[np.arange(len(targets)), targets][:, None]
    return np.asarray((scores >= own).sum(axis=1) <= places)


def roc_curves(scores: Floats, targets: Ints, labels: Sequence[str]) -> list[Curve]:
    """One curve for each class that has both examples and counter-examples."""
    curves = []
    for index, label in enumerate(labels):
        positive = targets == index
        if positive.any() and not positive.all():
            false_rate, true_rate, _ = _sklearn().roc_curve(positive, scores[:, index])
            curves.append(_curve(label, false_rate, true_rate, float(_sklearn().auc(false_rate, true_rate))))
    return curves


def precision_recall_curves(scores: Floats, targets: Ints, labels: Sequence[str]) -> list[Curve]:
    """One curve for each class that has examples; ``area`` is the average precision."""
    curves = []
    for index, label in enumerate(labels):
        positive = targets == index
        if positive.any():
            precision, recall, _ = _sklearn().precision_recall_curve(positive, scores[:, index])
            curves.append(
                _curve(label, recall, precision, float(_sklearn().average_precision_score(positive, scores[:, index])))
            )
    return curves


def balanced_accuracy(scores: Floats, positive: NDArray[np.bool_], threshold: float) -> float:
    """Mean of both recalls of the decision ``scores >= threshold``; 0 counts for a side without examples."""
    called = scores >= threshold
    sides = [called[positive], ~called[~positive]]
    return float(np.mean([side.mean() if len(side) else 0.0 for side in sides]))


def best_threshold(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """The threshold with the best balanced accuracy, half way between two scores; of equals the middle one.

    Raises ValueError unless both sides have examples.
    """
    if not positive.any() or positive.all():
        raise ValueError("a threshold needs positive and negative examples")
    values = np.unique(scores)
    candidates = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2])
    quality = np.asarray([balanced_accuracy(scores, positive, value) for value in candidates])
    best = np.flatnonzero(quality >= quality.max() - 1e-12)
    return float(candidates[best[len(best) // 2]])


def _curve(label: str, x: Floats, y: Floats, area: float) -> Curve:
    return Curve(label=label, x=tuple(map(float, x)), y=tuple(map(float, y)), area=area)


def _roc_auc(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    return float(_sklearn().roc_auc_score(positive, scores)) if positive.any() and not positive.all() else None


def _average_precision(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    return float(_sklearn().average_precision_score(positive, scores)) if positive.any() else None


def _sklearn() -> Any:
    from sklearn import metrics  # noqa: PLC0415 - an extra that only judging needs

    return metrics
