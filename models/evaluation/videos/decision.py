"""Does a video as a whole show the action? Decided by the highest probability that any of its people reached.

The threshold is chosen on the train split (best balanced accuracy) and only then used on the split that is judged; in
folds it is chosen for each on all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.manifest import Split
from models.evaluation.figures.bootstrap import SAMPLES, Interval, bootstrap, group_sums, interval, resample
from models.evaluation.figures.metrics import Curve, Floats, Value, balanced_accuracy, best_threshold, ratio, roc_curves


class VideoDecision(Value):
    """``accuracy`` and the like are None without other videos to choose a threshold on.

    ``threshold`` is None in folds, where each has its own. ``confusion``: truth in rows, (no, yes) both ways.
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
    decision = _ranked(judged, split.value, label, smoothed, seed)
    train = [peak for peak in peaks if peak.split is Split.TRAIN]
    known, truth, _ = _columns(train)
    if not train or truth.all() or not truth.any():
        return decision
    threshold = best_threshold(known, truth)
    chosen = {
        "threshold": threshold,
        "threshold_videos": len(train),
        "threshold_accuracy": balanced_accuracy(known, truth, threshold),
    }
    thresholds = np.full(len(judged), threshold)
    return decision.model_copy(update=chosen | _called(judged, thresholds, seed))


def decide_in_folds(
    peaks: Sequence[Peak], folds: Sequence[int], label: str, smoothed: bool, seed: int = 0
) -> VideoDecision | None:
    """Every video is judged by the threshold that the videos of all other folds choose; their splits play no part.

    ``folds``: of each peak. None without any video.
    """
    if not peaks:
        return None
    decision, thresholds = _ranked(peaks, "folds", label, smoothed, seed), np.zeros(len(peaks))
    values, positive, _ = _columns(peaks)
    for fold in set(folds):
        others = np.asarray(folds) != fold
        truth = positive[others]
        if truth.all() or not truth.any():  # nothing to choose on
            return decision
        thresholds[~others] = best_threshold(values[others], truth)
    return decision.model_copy(update=_called(peaks, thresholds, seed))


def _ranked(judged: Sequence[Peak], split: str, label: str, smoothed: bool, seed: int) -> VideoDecision:
    """All that takes no threshold."""
    values, positive, groups = _columns(judged)
    curves = roc_curves(np.stack([-values, values], axis=1), positive.astype(np.int64), ("no", label))
    return VideoDecision(
        label=label,
        smoothed=smoothed,
        split=split,
        videos=len(judged),
        positive=int(positive.sum()),
        roc=curves[1] if curves else None,
        roc_auc=_auc_interval(values, positive, groups, seed) if curves else None,
    )


def _called(judged: Sequence[Peak], thresholds: Floats, seed: int) -> dict[str, Any]:
    """What ``thresholds`` (N,), one for each video, make of them."""
    values, positive, groups = _columns(judged)
    called = values >= thresholds
    return {
        "accuracy": _share_right(called == positive, groups, seed),
        "balanced_accuracy": balanced_accuracy(called.astype(np.float64), positive, 0.5),
        "confusion": tuple(
            tuple(int(((positive == row) & (called == column)).sum()) for column in (False, True))
            for row in (False, True)
        ),
    }


def _columns(peaks: Sequence[Peak]) -> tuple[Floats, NDArray[np.bool_], list[str]]:
    values = np.asarray([peak.value for peak in peaks], np.float64)
    return values, np.asarray([peak.positive for peak in peaks], bool), [peak.group for peak in peaks]


def _share_right(right: NDArray[np.bool_], groups: Sequence[str], seed: int) -> Interval:
    sums = group_sums(np.stack([right, np.ones(len(right))], axis=1), groups)
    return bootstrap(sums, lambda each: ratio(each[..., 0], each[..., 1]), SAMPLES, seed)


def _auc_interval(values: Floats, positive: NDArray[np.bool_], groups: Sequence[str], seed: int) -> Interval:
    """The area is the share of pairs (yes, no) in the right order, ties half (Mann-Whitney): a sum over pairs.

    Replicates that drew one side only say nothing of the area and are left out.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    drawn = resample(np.eye(len(names)), SAMPLES, seed)[:, index]  # (B, N): how often each video was drawn
    yes, no = values[positive][:, None], values[~positive][None]
    order = (yes > no) + 0.5 * (yes == no)  # (Y, N)
    pairs = drawn[:, positive].sum(axis=1) * drawn[:, ~positive].sum(axis=1)
    areas = ratio(((drawn[:, positive] @ order) * drawn[:, ~positive]).sum(axis=1), pairs)[pairs > 0]
    whole = float(order.mean())
    return interval(whole, areas if len(areas) else np.asarray([whole]), len(names))
