"""What a small learner makes of a voice's features, in grouped folds: no answer comes from one that saw its video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.training.config import CLASS_WEIGHTS
from models.training.run.losses import balanced_class_weights

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Rows = Sequence[NDArray[np.floating[Any]]]  # of each clip (R, F): a row a way to look at it
LEAST = 1e-4  # no class is thought less likely: one sure voice must not outvote all others


@dataclass(frozen=True, slots=True)
class Task:
    """``targets`` (N,) of ``classes`` classes; ``folds``: the held-out clips of each."""

    targets: Indices
    classes: int
    folds: Sequence[Indices]


def regression(strength: float) -> Callable[[dict[int, float]], Any]:
    """→ a maker of logistic regressions on standardised features. ``strength``: scikit-learn's C."""

    def make(factors: dict[int, float]) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000, class_weight=factors))

    return make


def trees(factors: dict[int, float]) -> Any:
    return ExtraTreesClassifier(400, min_samples_leaf=4, class_weight=factors, random_state=0)


def answers(make: Callable[[dict[int, float]], Any], rows: Rows, task: Task) -> Floats:
    """→ (N, C) log probabilities of the held-out clips, of each the mean over its rows."""
    found = np.full((len(rows), task.classes), np.log(LEAST))
    for held_out in task.folds:
        inside = np.setdiff1d(np.arange(len(rows)), held_out)
        learnt = fitted(make, [rows[index] for index in inside], task.targets[inside], task.classes)
        found[held_out] = said(learnt, [rows[index] for index in held_out], task.classes)
    return found


def fitted(make: Callable[[dict[int, float]], Any], rows: Rows, targets: Indices, classes: int) -> Any:
    """A learner that saw every row; a clip of many counts as one of few."""
    counts = np.asarray([len(row) for row in rows])
    factors = dict(enumerate(balanced_class_weights(targets.tolist(), classes, CLASS_WEIGHTS["root"])))
    model = make(factors)
    weights = {f"{model.steps[-1][0]}__sample_weight" if hasattr(model, "steps") else "sample_weight": 1 / counts}
    weights = {name: np.repeat(value, counts) for name, value in weights.items()}
    return model.fit(np.concatenate(list(rows)).astype(np.float64), np.repeat(targets, counts), **weights)


def said(model: Any, rows: Rows, classes: int) -> Floats:
    """→ (N, C) log probabilities."""
    counts = np.asarray([len(row) for row in rows])
    chances = np.full((counts.sum(), classes), LEAST)
    chances[:, model.classes_] = np.maximum(model.predict_proba(np.concatenate(list(rows)).astype(np.float64)), LEAST)
    sums = np.add.reduceat(np.log(chances), np.concatenate([[0], np.cumsum(counts)[:-1]]))
    return np.asarray(sums / counts[:, None])


def together(logits: Sequence[Floats]) -> Floats:
    """Every voice counts alike: the mean of log probabilities (N, C)."""
    return np.asarray(np.mean([each - _log_sum(each) for each in logits], axis=0))


def _log_sum(logits: Floats) -> Floats:
    largest = logits.max(axis=1, keepdims=True)
    return np.asarray(largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True)))
