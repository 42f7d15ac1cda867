"""Does a video as a whole show the action? Decided by the highest probability that any of its people reached.

The threshold is chosen on the train split (best balanced accuracy) and only then used on the split that is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.bootstrap import SAMPLES, Interval, interval
from models.data.manifest import Split
from models.metrics import Curve, Floats, Value, balanced_accuracy, best_threshold, roc_curves


class VideoDecision(Value):
    """``accuracy`` and the like are None without a train split to choose the ``threshold`` on.

    ``confusion``: truth in rows, (no, yes) both ways.
    """

    label: str
    smoothed: bool  # the peak is that of smoothed scores, else of single clips
    split: str
    videos: int
    positive: int
    roc_auc: Interval | None
    roc: Curve | None
    threshold: float | None = None
    threshold_videos: int = 0  # of the train split
    threshold_accuracy: float | None = None  # balanced, on the videos it was chosen on
    accuracy: Interval | None = None
    balanced_accuracy: float | None = None
    confusion: tuple[tuple[int, int], tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """One video: the highest probability, and whether it truly shows the action."""

    video: str
    group: str
    split: Split
    positive: bool
    value: float


def decide(peaks: Sequence[Peak], split: Split, label: str, smoothed: bool, seed: int = 0) -> VideoDecision | None:
    """None without any video in the split."""
    judged = [peak for peak in peaks if peak.split is split]
    if not judged:
        return None
    values, positive, groups = _columns(judged)
    curves = roc_curves(np.stack([-values, values], axis=1), positive.astype(np.int64), ("no", label))
    decision = VideoDecision(
        label=label,
        smoothed=smoothed,
        split=split.value,
        videos=len(judged),
        positive=int(positive.sum()),
        roc=curves[1] if curves else None,
        roc_auc=_auc_interval(values, positive, groups, seed) if curves else None,
    )
    train = [peak for peak in peaks if peak.split is Split.TRAIN]
    known, truth, _ = _columns(train)
    if not train or truth.all() or not truth.any():
        return decision
    threshold = best_threshold(known, truth)
    right = (values >= threshold) == positive
    called = values >= threshold
    return decision.model_copy(
        update={
            "threshold": threshold,
            "threshold_videos": len(train),
            "threshold_accuracy": balanced_accuracy(known, truth, threshold),
            "accuracy": _by_group(right.astype(np.float64), groups, seed),
            "balanced_accuracy": balanced_accuracy(values, positive, threshold),
            "confusion": tuple(
                tuple(int(((positive == row) & (called == column)).sum()) for column in (False, True))
                for row in (False, True)
            ),
        }
    )


def _columns(peaks: Sequence[Peak]) -> tuple[Floats, NDArray[np.bool_], list[str]]:
    values = np.asarray([peak.value for peak in peaks], np.float64)
    return values, np.asarray([peak.positive for peak in peaks], bool), [peak.group for peak in peaks]


def _draws(groups: Sequence[str], seed: int) -> list[Floats]:
    """``SAMPLES`` times the rows of as many groups, drawn with replacement, as there are."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    rows = [np.flatnonzero(index == place) for place in range(len(names))]
    rng = np.random.default_rng(seed)
    return [np.concatenate([rows[at] for at in rng.integers(0, len(rows), len(rows))]) for _ in range(SAMPLES)]


def _by_group(values: Floats, groups: Sequence[str], seed: int) -> Interval:
    replicates = np.asarray([values[rows].mean() for rows in _draws(groups, seed)])
    return interval(float(values.mean()), replicates, len(set(groups)))


def _auc_interval(values: Floats, positive: NDArray[np.bool_], groups: Sequence[str], seed: int) -> Interval:
    """Replicates that drew one side only say nothing of the area and are left out."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - only evaluation needs it

    draws = [rows for rows in _draws(groups, seed) if positive[rows].any() and not positive[rows].all()]
    replicates = np.asarray([roc_auc_score(positive[rows], values[rows]) for rows in draws])
    whole = float(roc_auc_score(positive, values))
    return interval(whole, replicates if len(replicates) else np.asarray([whole]), len(set(groups)))
