"""A target number of clips per class, of rows; and the way back."""

from collections import Counter
from pathlib import Path

import pytest

from models.data.balance import BalanceConfig, Resample, Target, balance, balance_dataset, is_balanced, restore
from models.data.leaks import LeakError
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label, read_dataset, write_dataset
from models.errors import DatasetError
from tests.models.data.trees import record

TRAIN = {"a": 10, "b": 4, "c": 7}


def records() -> list[ClipRecord]:
    """10 a, 4 b and 7 c in train, 3 a and 1 b in val; two thirds of a's clips are of one group."""
    train = [
        record(label, f"{label}{min(number % 6, 2)}", Split.TRAIN, f"{label}{number}.mp4")
        for label, count in TRAIN.items()
        for number in range(count)
    ]
    val = [
        record(label, f"v{label}", Split.VAL, f"v{label}{n}")
        for label, count in (("a", 3), ("b", 1))
        for n in range(count)
    ]
    return [*train, *val]


def train_counts(done: tuple[ClipRecord, ...]) -> dict[str, int]:
    return Counter(item.label for item in done if item.split is Split.TRAIN)


@pytest.mark.parametrize(
    ("target", "expected"), [(6, 6), ("min", 4), ("median", 7), ("mean", 7), ("max", 10), (25, 25)]
)
def test_balance_reaches_the_target_in_train_and_leaves_val_alone(target: Target, expected: int) -> None:
    done = balance(records(), BalanceConfig(target))
    assert train_counts(done) == dict.fromkeys(TRAIN, expected)
    assert [item for item in done if item.split is Split.VAL] == records()[-4:]


def test_balance_repeats_evenly_and_next_to_each_other() -> None:
    done = balance(records(), BalanceConfig(10))
    copies = Counter(item.path for item in done if item.label == "b" and item.split is Split.TRAIN)
    assert sorted(copies.values()) == [2, 2, 3, 3]
    assert list(dict.fromkeys(done)) == records()
    assert [item for item in records() for _ in range(done.count(item))] == list(done)


def test_balance_leaves_out_of_the_largest_group_first() -> None:
    done = balance(records(), BalanceConfig(6))
    groups = Counter(item.group for item in done if item.label == "a" and item.split is Split.TRAIN)
    assert groups == {"a0": 2, "a1": 2, "a2": 2}  # of 2, 2 and 6


@pytest.mark.parametrize(("resample", "expected"), [(Resample.OVER, (10, 6, 7)), (Resample.UNDER, (6, 4, 6))])
def test_balance_only_over_or_only_under(resample: Resample, expected: tuple[int, ...]) -> None:
    done = balance(records(), BalanceConfig(6, resample=resample))
    assert tuple(train_counts(done)[label] for label in TRAIN) == expected


def test_balance_any_split_by_option() -> None:
    done = balance(records(), BalanceConfig("max", (Split.VAL, Split.TRAIN)))
    assert Counter(item.label for item in done if item.split is Split.VAL) == {"a": 3, "b": 3}
    assert set(train_counts(done).values()) == {10}


def test_balance_same_seed_same_rows() -> None:
    assert balance(records(), BalanceConfig(6, seed=1)) == balance(records(), BalanceConfig(6, seed=1))
    assert balance(records(), BalanceConfig(6, seed=1)) != balance(records(), BalanceConfig(6, seed=2))


def test_balance_split_without_clips_is_refused() -> None:
    with pytest.raises(DatasetError, match="no labelled clip in test"):
        balance(records(), BalanceConfig(6, (Split.TEST,)))
    with pytest.raises(DatasetError, match="at least 1"):
        BalanceConfig(0)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    placed = tuple(ClipRecord(tmp_path / item.path, item.label, item.group, item.split) for item in records())
    write_dataset(Dataset(tmp_path, DatasetInfo(class2label=class2label("abc")), placed))
    return read_dataset(tmp_path)


def test_balance_dataset_again_begins_from_the_whole_and_is_undone(data: Dataset) -> None:
    balance_dataset(data.folder, BalanceConfig(2))
    assert set(train_counts(read_dataset(data.folder).records).values()) == {2}
    balance_dataset(data.folder, BalanceConfig(8))
    again = read_dataset(data.folder)
    assert set(train_counts(again.records).values()) == {8}
    assert len({item.path for item in again.records if item.label == "a" and item.split is Split.TRAIN}) == 8
    assert restore(data.folder) == data
    assert not is_balanced(data.folder)
    with pytest.raises(DatasetError, match="is not balanced"):
        restore(data.folder)


def test_balance_dataset_with_a_leak_is_refused(data: Dataset) -> None:
    leaky = (*data.records, ClipRecord(data.folder / "x.mp4", "a", "a0", Split.VAL))
    write_dataset(Dataset(data.folder, data.info, leaky))
    with pytest.raises(LeakError, match="'a0' in train and val"):
        balance_dataset(data.folder, BalanceConfig(2))
    assert not is_balanced(data.folder)
