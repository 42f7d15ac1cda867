"""Fights that are rare in training: how many stay, and what a network's margins say of those held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from benchmarks.small_networks.learner import Floats, Ints
from models.evaluation.figures.bootstrap import interval, resample

Doubles = NDArray[np.float64]
RECALLS = np.linspace(0.05, 1.0, 20)  # at which precision is drawn
AREA = "average_precision"


def thinned(inside: Ints, fights: Ints, ratio: int, seed: Sequence[int]) -> Ints:
    """→ of the indices ``inside`` all others, and one fight to ``ratio`` of them, at random."""
    others, rare = inside[fights[inside] == 0], inside[fights[inside] == 1]
    kept = np.random.default_rng(seed).permutation(rare)[: max(1, round(len(others) / ratio))]
    return np.sort(np.concatenate([others, kept]))


def judged(margins: Floats, fights: Ints, groups: Sequence[str], base: Floats | None = None) -> dict[str, Any]:
    """``margins`` (D, N) of D draws: logit of a fight less that of the rest; ``base``: those of another loss.

    → means over the draws: average precision, F1 and recall where a fight is the likelier class, each with its interval
    over groups; the paired difference of average precision to ``base``; precision at ``RECALLS`` and above.
    """
    once, drawn = _weights(groups)
    value, spread = (_figures(margins, fights, weights) for weights in (once, drawn))
    found: dict[str, Any] = {name: _span(value[name], spread[name]) for name in value}
    found["difference"] = None
    if base is not None:
        value, spread = (_less(those, base, fights, at) for those, at in ((value, once), (spread, drawn)))
        found["difference"] = _span(value[AREA], spread[AREA])
    return found | {"precision_at": [round(float(each), 4) for each in _precisions(margins, fights)]}


def _weights(groups: Sequence[str]) -> tuple[Doubles, Doubles]:
    """→ how often each example counts: (1, N) once each, (B, N) in replicates that draw whole groups."""
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    return np.ones((1, len(groups))), resample(np.eye(len(names)))[:, group]


def _figures(margins: Floats, fights: Ints, weights: Doubles) -> dict[str, Doubles]:
    """→ of every figure (B,), the mean over the draws."""
    rows = [_of_draw(margin, fights, weights) for margin in margins]
    return {name: np.mean([row[name] for row in rows], axis=0) for name in rows[0]}


def _of_draw(margin: Floats, fights: Ints, weights: Doubles) -> dict[str, Doubles]:
    called = (margin > 0).astype(np.float64)
    hits, calls, there = weights @ (called * fights), weights @ called, weights @ fights
    return {
        AREA: average_precisions(margin, fights, weights),
        "f1": 2 * hits / np.maximum(calls + there, 1),
        "recall": hits / np.maximum(there, 1),
    }


def average_precisions(margin: Floats, fights: Ints, weights: Doubles) -> Doubles:
    """``margin``, ``fights`` (N,), ``weights`` (B, N) → (B,), without interpolation; 0 without a fight."""
    order = np.argsort(-margin, kind="stable")
    weight, hit = weights[:, order], weights[:, order] * fights[order]
    hits = np.cumsum(hit, axis=1)
    precision = hits / np.maximum(np.cumsum(weight, axis=1), 1)
    return np.asarray((precision * hit).sum(axis=1) / np.maximum(hits[:, -1], 1))


def _less(found: Mapping[str, Doubles], base: Floats, fights: Ints, weights: Doubles) -> dict[str, Doubles]:
    theirs = _figures(base, fights, weights)
    return {name: found[name] - theirs[name] for name in found}


def _precisions(margins: Floats, fights: Ints) -> Doubles:
    """→ the best precision at each of ``RECALLS`` or above, the mean over the draws."""
    curves = [precision_recall_curve(fights, margin)[:2] for margin in margins]
    found = np.asarray([[p[r >= least - 1e-9].max() for least in RECALLS] for p, r in curves])
    return np.asarray(found.mean(axis=0))


def _span(value: Doubles, replicates: Doubles) -> list[float]:
    found = interval(float(value[0]), replicates, 0)
    return [round(each, 4) for each in (found.value, found.low, found.high)]
