"""k nearest neighbours over features: the yardstick that a trained head must beat, and the one that needs no training.

Cover & Hart, "Nearest neighbor pattern classification" (1967). Features are scaled to length 1, so that the Euclidean
order of neighbours is that of the cosine; neighbours vote with the inverse of their distance. Every example is kept:
memory and the time of an answer grow with their number, where a network's do not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
NEIGHBOURS = (1, 3, 5, 7, 9, 15, 21)  # odd: two classes cannot draw


class NearestNeighbours:
    """Answers as ``models.classifier.ActionClassifier`` does, from features instead of clips."""

    def __init__(self, features: Floats, targets: Sequence[int], labels: Sequence[str], neighbours: int) -> None:
        """Keep ``features`` float (N, D) of the classes ``targets`` (N,), indices into ``labels``; ``neighbours`` vote.

        Raises ValueError when they do not fit, when N is under ``neighbours``, or for features without any length.
        """
        _check(features, targets, len(labels), neighbours)
        self.labels = tuple(labels)
        self.neighbours = neighbours
        self._kept = unit_length(features)
        self._search = KNeighborsClassifier(neighbours, weights="distance", algorithm="brute", metric="euclidean")
        self._search.fit(self._kept, np.asarray(targets))

    def __len__(self) -> int:
        """Number of examples kept."""
        return len(self._kept)

    @property
    def memory_bytes(self) -> int:
        """Size of the examples."""
        return self._kept.nbytes

    def predict(self, features: Floats) -> Floats:
        """float (M, D) → float32 (M, C) shares of the vote in the order of ``labels``; each row sums to 1.

        Raises ValueError for another width than that of the examples.
        """
        if features.ndim != 2 or features.shape[1] != self._kept.shape[1]:
            raise ValueError(f"features must be (M, {self._kept.shape[1]}), got {features.shape}")
        votes = np.zeros((len(features), len(self.labels)), np.float32)
        if len(features):  # the columns are the classes that have an example
            votes[:, self._search.classes_] = self._search.predict_proba(unit_length(features))
        return votes


def choose_neighbours(
    features: Floats,
    targets: Sequence[int],
    groups: Sequence[str],
    labels: Sequence[str],
    candidates: Sequence[int] = NEIGHBOURS,
) -> int:
    """→ the number of ``candidates`` with the best mean recall over the classes, each group in turn held out.

    Of equals the smallest. Candidates with more neighbours than a fold has examples are passed over. Raises
    ValueError when none is left or there are fewer than two groups.
    """
    wanted, sources = np.asarray(targets), np.asarray(groups)
    names = np.unique(sources)
    smallest = min((int(np.sum(sources != name)) for name in names), default=0)
    usable = sorted(count for count in candidates if 1 <= count <= smallest)
    if len(names) < 2 or not usable:
        raise ValueError(f"expected two groups and at least {min(candidates)} examples beside each; got {len(names)}")
    answers = {count: np.zeros(len(wanted), np.int64) for count in usable}
    for name in names:
        inside, outside = np.flatnonzero(sources != name), np.flatnonzero(sources == name)
        for count in usable:
            search = NearestNeighbours(features[inside], wanted[inside].tolist(), labels, count)
            answers[count][outside] = search.predict(features[outside]).argmax(axis=1)
    return max(usable, key=lambda count: (round(_mean_recall(answers[count], wanted), 9), -count))


def unit_length(features: Floats) -> Floats:
    """(N, D) → float32 (N, D), each row of Euclidean length 1; a row of zeros stays as it is."""
    rows = np.asarray(features, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(lengths > 0, lengths, 1))


def _mean_recall(answers: Ints, wanted: Ints) -> float:
    return float(np.mean([np.mean(answers[wanted == label] == label) for label in np.unique(wanted)]))


def _check(features: Floats, targets: Sequence[int], classes: int, neighbours: int) -> None:
    if features.ndim != 2 or len(features) != len(targets):
        raise ValueError(f"expected features (N, D) and N targets, got {features.shape} and {len(targets)}")
    if not 1 <= neighbours <= len(features):
        raise ValueError(f"neighbours must be 1 to the {len(features)} examples, got {neighbours}")
    if not np.isfinite(features).all() or not (np.abs(features).max(axis=1) > 0).all():
        raise ValueError("features must be finite, and no row all zero")
    foreign = sorted({int(target) for target in targets if not 0 <= target < classes})
    if foreign:
        raise ValueError(f"targets must be 0 to {classes - 1}, got {foreign}")
