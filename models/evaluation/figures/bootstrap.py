"""Confidence intervals that know that clips of one source video are alike: whole groups are drawn, not clips.

Percentile bootstrap over groups (Field & Welsh 2007, "Bootstrapping clustered data"). Figures that rest on sums over
examples (confusion matrices, calibration bins) are resampled by summing each group once and weighting the sums, so
thousands of replicates cost one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import gammaincinv

from models.evaluation.figures.metrics import Floats, Ints, Value

SAMPLES = 2000
LEVEL = 0.95


class Interval(Value):
    """A figure and the range in which it lies with ``level`` confidence, given the groups there are."""

    value: float
    low: float
    high: float
    level: float = LEVEL
    groups: int = 0


def poisson_interval(events: int, level: float = LEVEL) -> tuple[float, float]:
    """→ the exact interval of a mean of which ``events`` came (Garwood 1936)."""
    tail = (1 - level) / 2
    return (float(gammaincinv(events, tail)) if events else 0.0, float(gammaincinv(events + 1, 1 - tail)))


def group_sums(values: Floats, groups: Sequence[str]) -> Floats:
    """(N, …) values of examples → (G, …) sums over each group, in the order of the groups' names."""
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((index.max() + 1, *values.shape[1:]))
    np.add.at(sums, index, values)
    return sums


def resample(sums: Floats, samples: int = SAMPLES, seed: int = 0) -> Floats:
    """(G, …) → (samples, …): in each replicate the sum of G groups drawn with replacement."""
    count = len(sums)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=samples)
    flat = weights.astype(np.float64) @ sums.reshape(count, -1)
    return np.asarray(flat.reshape(samples, *sums.shape[1:]), np.float64)


def interval(value: float, replicates: Floats, groups: int, level: float = LEVEL) -> Interval:
    """The percentile interval of ``replicates`` (B,) around the figure ``value``."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=value, low=float(low), high=float(high), level=level, groups=groups)


def bootstrap(sums: Floats, figure: Callable[[Floats], Floats], samples: int = SAMPLES, seed: int = 0) -> Interval:
    """Interval of a figure of sums. ``sums`` (G, …) are those of the groups; ``figure`` maps (B, …) sums to (B,).

    Replicates are the same for the same number of groups, samples and seed, which makes differences of models paired.
    """
    value = float(figure(sums.sum(axis=0)[None])[0])
    return interval(value, figure(resample(sums, samples, seed)), len(sums))


def group_counts(predicted: Ints, targets: Ints, classes: int, groups: Sequence[str]) -> Floats:
    """Class indices (N,), (N,) → (G, C, 3): hits, predictions and examples of each class in each group."""
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    hit = predicted == targets
    places = (group[hit] * classes + targets[hit], group * classes + predicted, group * classes + targets)
    columns = [np.bincount(place, minlength=len(names) * classes) for place in places]
    return np.stack(columns, axis=1).reshape(len(names), classes, 3).astype(np.float64)
