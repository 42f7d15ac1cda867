"""Intervals by group: reproducible, wide where groups agree with themselves, covering the truth."""

import numpy as np
import pytest

from models.evaluation.figures.bootstrap import bootstrap, group_counts, group_sums, resample
from models.evaluation.figures.metrics import accuracy, confusion_matrix, counts_of, macro_f1


def test_group_sums_and_counts_add_up_to_the_whole():
    rng = np.random.default_rng(0)
    predicted, targets = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    groups = [f"g{index}" for index in rng.integers(0, 6, 50)]
    counts = group_counts(predicted, targets, 3, groups)
    assert counts.shape == (6, 3, 3)
    assert (counts.sum(axis=0) == counts_of(confusion_matrix(predicted, targets, 3))).all()
    assert group_sums(np.ones((50, 2)), groups).sum(axis=0).tolist() == [50, 50]


def test_resample_draws_as_many_groups_as_there_are():
    replicates = resample(np.ones((7, 2)), samples=20, seed=3)
    assert (replicates == 7).all()
    assert (resample(np.eye(5), 30, 1) == resample(np.eye(5), 30, 1)).all()
    assert not (resample(np.eye(5), 30, 1) == resample(np.eye(5), 30, 2)).all()


def test_bootstrap_of_clips_that_agree_within_groups_is_wider_than_of_single_clips():
    targets = np.zeros(100, int)
    predicted = np.repeat(np.random.default_rng(0).permutation([0] * 7 + [1] * 3), 10)  # right or wrong by group
    by_group = bootstrap(group_counts(predicted, targets, 2, [str(clip // 10) for clip in range(100)]), accuracy)
    by_clip = bootstrap(group_counts(predicted, targets, 2, [str(clip) for clip in range(100)]), accuracy)
    assert by_group.value == by_clip.value == pytest.approx(0.7)
    assert by_group.low < by_group.value < by_group.high
    assert by_group.high - by_group.low > 2 * (by_clip.high - by_clip.low)
    assert by_group.groups == 10 and by_clip.groups == 100
    # The standard error of 10 groups at 0.7 is 0.145: the interval is about ± 2 of them.
    assert by_group.high - by_group.low == pytest.approx(4 * 0.145, abs=0.12)


def test_bootstrap_of_a_perfect_model_has_no_width():
    targets = np.arange(3).repeat(4)
    found = bootstrap(group_counts(targets, targets, 3, [str(clip) for clip in range(12)]), macro_f1, samples=200)
    assert (found.value, found.low, found.high) == (1, 1, 1)
