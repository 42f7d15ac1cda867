"""Which clips without a label a pupil may learn from its teacher: those of which the teacher is sure in every view.

Self-training repeats a teacher's errors unless they are kept out. A clip is believed when teachers that saw nothing of
its group give it the same class, each time with a high chance, whatever augmentation draws (the threshold of FixMatch,
Sohn et al. 2020, asked of several views instead of one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.data.manifest import ClipRecord
from models.training.run.cross_validation import grouped_folds

Floats = NDArray[np.float64]
Teach = Callable[[NDArray[np.int64], Floats], Floats]  # which labelled clips it learns, (M, F) asked → (M, C) said


def trusted(said: Floats, chance: float) -> NDArray[np.bool_]:
    """(N, K, C) probabilities of K views of each clip → (N,): the same class in every view, by ``chance`` or more."""
    best = said.argmax(axis=2)
    alike = (best == best[:, :1]).all(axis=1)
    return np.asarray(alike & (said.max(axis=2) >= chance).all(axis=1))


def said_by_others(
    teach: Teach,
    labelled: Sequence[ClipRecord],
    targets: Sequence[int],
    asked: Sequence[ClipRecord],
    views: Floats,
    folds: int,
    seed: int,
) -> Floats:
    """``views`` (N, K, F) of the clips ``asked`` → (N, K, C): what a teacher says that learnt nothing of their group.

    Groups are held out as in cross-validation; clips of a group without labels are told by a teacher of all.
    """
    groups = np.array([record.group for record in labelled])
    wanted = np.array([record.group for record in asked])
    everything = np.arange(len(labelled))
    said = _all_views(teach, everything, views)
    for held_out in grouped_folds(labelled, targets, folds, seed):
        mine = np.flatnonzero(np.isin(wanted, groups[held_out]))
        if len(mine):
            said[mine] = _all_views(teach, np.setdiff1d(everything, held_out), views[mine])
    return said


def _all_views(teach: Teach, learnt: NDArray[np.int64], views: Floats) -> Floats:
    count, draws, width = views.shape
    flat = teach(learnt, views.reshape(count * draws, width))  # (N·K, F)
    return flat.reshape(count, draws, -1)
