"""Splits by group: shares, coverage of classes, seeds, folds; and leaks, which are refused."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.leaks import LeakError, check_leaks, leaking
from models.data.manifest import ClipRecord, Split
from models.data.split import GroupBy, SplitConfig, folds, missing_classes, split, take_fold
from models.errors import DatasetError
from tests.models.data.trees import record

THIRDS = {Split.TRAIN: 0.7, Split.VAL: 0.15, Split.TEST: 0.15}


def random_records(seed: int, groups: int = 60, classes: int = 4) -> list[ClipRecord]:
    """Groups of 1 to 12 clips, half of them of one class only."""
    rng = np.random.default_rng(seed)
    records = []
    for group in range(groups):
        own = rng.integers(classes, size=1 if rng.random() < 0.5 else 2)
        for clip in range(rng.integers(1, 13)):
            label = f"class{rng.choice(own)}"
            records.append(record(label, f"g{group}", name=f"{group}-{clip}.mp4"))
    return records


def splits_of(records: tuple[ClipRecord, ...] | list[ClipRecord]) -> dict[str, set[Split]]:
    found: defaultdict[str, set[Split]] = defaultdict(set)
    for item in records:
        found[item.group].add(item.split)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_split_keeps_groups_together_and_meets_the_shares_in_every_class(seed: int) -> None:
    records = random_records(seed)
    done = split(records, SplitConfig(THIRDS, seed))
    assert [replace(item, split=Split.NONE) for item in done] == records
    assert all(len(parts) == 1 for parts in splits_of(done).values())
    of_class = Counter(item.label for item in records)
    for (label, part), count in Counter((item.label, item.split) for item in done).items():
        assert abs(count - THIRDS[part] * of_class[label]) <= 3, (label, part, count)


def test_split_same_seed_same_splits_whatever_the_order_of_the_rows() -> None:
    records = random_records(1)
    done = {item.path: item.split for item in split(records, SplitConfig(THIRDS, 5))}
    again = {item.path: item.split for item in split(records[::-1], SplitConfig(THIRDS, 5))}
    other = {item.path: item.split for item in split(records, SplitConfig(THIRDS, 6))}
    assert done == again
    assert done != other


@pytest.mark.parametrize("seed", range(3))
def test_folds_no_less_even_than_stratified_group_k_fold(seed: int) -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    records = random_records(seed, groups=40)
    labels, groups = [item.label for item in records], [item.group for item in records]
    ours = folds(records, 5, SplitConfig({Split.TRAIN: 1}, 0))
    theirs = {}
    for number, (_, held) in enumerate(
        StratifiedGroupKFold(5, shuffle=True, random_state=0).split(labels, labels, groups)
    ):
        theirs.update({groups[index]: number for index in held})
    assert imbalance(records, ours) <= imbalance(records, theirs)


def imbalance(records: list[ClipRecord], numbers: dict[str, int]) -> float:
    counts = Counter((item.label, numbers[item.group]) for item in records)
    totals = Counter(item.label for item in records)
    return sum(
        (counts[label, fold] - total / 5) ** 2 / (total / 5) for label, total in totals.items() for fold in range(5)
    )


def test_split_rare_class_with_three_groups_is_in_all_splits() -> None:
    rare = [record("rare", f"r{number}") for number in range(3)]
    common = [record("common", f"c{number}", name=f"{number}-{clip}") for number in range(40) for clip in range(5)]
    done = split([*rare, *common], SplitConfig(THIRDS))
    assert {item.split for item in done if item.label == "rare"} == set(THIRDS)
    assert missing_classes(done, tuple(THIRDS)) == []


def test_split_class_with_too_few_groups_goes_to_train_and_is_told() -> None:
    common = [record("common", f"c{number}") for number in range(20)]
    done = split([record("rare", "r1", name="1"), record("rare", "r1", name="2"), *common], SplitConfig(THIRDS))
    assert {item.split for item in done if item.label == "rare"} == {Split.TRAIN}
    assert missing_classes(done, tuple(THIRDS)) == ["rare is not in val, test: it has 1 group"]


def test_split_of_train_leaves_the_others_where_they_are() -> None:
    records = split(random_records(4), SplitConfig({Split.TRAIN: 0.75, Split.TEST: 0.25}))
    done = split(records, SplitConfig({Split.TRAIN: 0.8, Split.VAL: 0.2}, of=(Split.TRAIN,)))
    for before, after in zip(records, done, strict=True):
        assert (after.split is Split.TEST) == (before.split is Split.TEST)
    train = sum(item.split is Split.TRAIN for item in records)
    assert abs(sum(item.split is Split.VAL for item in done) - 0.2 * train) <= 6


def test_split_of_a_part_that_shares_a_group_with_the_rest_is_refused() -> None:
    records = [record("a", "g1", Split.TRAIN), record("a", "g1", Split.TEST, "2"), record("a", "g2", Split.TRAIN)]
    with pytest.raises(LeakError, match="'g1' in"):
        split(records, SplitConfig({Split.VAL: 1}, of=(Split.TRAIN,)))


def test_split_unlabelled_clips_are_in_no_split() -> None:
    done = split([record("", "g1", Split.TRAIN), record("a", "g2")], SplitConfig({Split.TRAIN: 1}))
    assert [item.split for item in done] == [Split.NONE, Split.TRAIN]


def test_split_by_person_parts_a_video_and_makes_the_person_the_group() -> None:
    records = [
        record("a", "cam", name=f"{track}-{clip}", video="v1", track_id=track)
        for track in range(8)
        for clip in range(2)
    ]
    done = split(records, SplitConfig({Split.TRAIN: 0.5, Split.VAL: 0.5}, by=GroupBy.PERSON))
    assert {item.group for item in done} == {f"v1#{track}" for track in range(8)}
    assert Counter(item.split for item in done) == {Split.TRAIN: 8, Split.VAL: 8}
    together = split(records, SplitConfig({Split.TRAIN: 0.5, Split.VAL: 0.5}, by=GroupBy.VIDEO))
    assert {item.group for item in together} == {"v1"}
    assert len({item.split for item in together}) == 1


def test_split_clips_without_group_are_all_listed() -> None:
    with pytest.raises(DatasetError, match=r"2 clips have no group: x\.mp4, y\.mp4"):
        split([record("a", "", name="x.mp4"), record("a", "", name="y.mp4"), record("a", "g")], SplitConfig(THIRDS))


def test_split_nothing_to_split_is_refused() -> None:
    with pytest.raises(DatasetError, match="no labelled clip to split in test"):
        split([record("a", "g", Split.TRAIN)], SplitConfig(THIRDS, of=(Split.TEST,)))


@pytest.mark.parametrize("shares", [{Split.TRAIN: 0.0}, {Split.TRAIN: 1.2, Split.VAL: -0.2}, {Split.NONE: 1.0}])
def test_split_senseless_shares_are_refused(shares: dict[Split, float]) -> None:
    with pytest.raises(DatasetError, match="expected shares"):
        SplitConfig(shares)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_folds_hold_each_group_once_and_none_is_empty(seed: int, count: int) -> None:
    records = random_records(seed, groups=20)
    numbers = folds(records, count, SplitConfig({Split.TRAIN: 1}, seed))
    assert set(numbers) == {item.group for item in records}
    assert set(numbers.values()) == set(range(count))


def test_take_fold_each_clip_is_val_once() -> None:
    records = random_records(7)
    config = SplitConfig({Split.TRAIN: 1}, 3)
    held = [item.path for fold in range(4) for item in take_fold(records, 4, fold, config) if item.split is Split.VAL]
    assert sorted(held) == sorted(item.path for item in records)


def test_take_fold_of_train_and_val_leaves_test_alone() -> None:
    records = split(random_records(4), SplitConfig(THIRDS))
    done = take_fold(records, 3, 0, SplitConfig({Split.TRAIN: 1}, of=(Split.TRAIN, Split.VAL)))
    assert [item.path for item in done if item.split is Split.TEST] == [
        item.path for item in records if item.split is Split.TEST
    ]


@pytest.mark.parametrize(("count", "fold"), [(3, 3), (1, 0), (99, 0)])
def test_take_fold_impossible_is_refused(count: int, fold: int) -> None:
    with pytest.raises(DatasetError, match="expected"):
        take_fold(random_records(1, groups=10), count, fold, SplitConfig({Split.TRAIN: 1}))


def test_leaks_lists_every_group_and_its_splits() -> None:
    records = [
        record("a", "g1", Split.TRAIN),
        record("a", "g1", Split.TEST),
        record("b", "g2", Split.VAL),
        record("a", "g2", Split.TRAIN),
        record("a", "g3", Split.TRAIN),
        record("a", "g3", Split.NONE),
    ]
    with pytest.raises(LeakError, match=r"^2 groups .*: 'g1' in train and test; 'g2' in train and val$"):
        check_leaks(records)
    assert leaking((item.group, item.split) for item in records[4:]) == {}


def test_leaks_split_clips_without_group_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"in no group: x\.mp4"):
        check_leaks([record("a", "", Split.VAL, "x.mp4"), record("a", "", name="y.mp4")])
