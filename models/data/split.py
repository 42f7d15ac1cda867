"""Train, val and test by group: no group in two splits, every class in the wanted shares, the same for the same seed.

The greedy rule behind scikit-learn's StratifiedGroupKFold, for shares that need not be equal. Groups are placed one
after the other, those with the most clips first (roughly: their sizes are blurred at random), each into the split
that raises the cost least. The cost is the chi-square distance between wanted and present clips over all splits and
classes, plus a large penalty for every split that lacks a class: where a class has as many groups as there are
splits, each gets one. Then groups are taken out and placed again, one at a time, until nothing changes. Of several
seeded tries the cheapest counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from models.data.leaks import check_leaks
from models.data.manifest import ClipRecord, Split
from models.errors import DatasetError

_LACKS_CLASS = 1e3  # far above any distance in shares, so coverage comes first
_MOST_TRIES, _PLACINGS = 50, 20_000  # few groups get many tries, which is where they help, and cost nothing
_STILL_MOVING = 0.002  # share of the groups below which another sweep gains nothing that counts
_MAX_SWEEPS = 20

Floats = NDArray[np.float64]


class GroupBy(str, Enum):
    """What must not lie in two splits. The chosen key becomes the clips' ``group``, so that later checks use it."""

    GROUP = "group"  # the manifest's column
    VIDEO = "video"
    PERSON = "person"  # a track within a video

    def key(self, record: ClipRecord) -> str:
        person = f"{record.video}#{record.track_id}"
        return {GroupBy.GROUP: record.group, GroupBy.VIDEO: record.video, GroupBy.PERSON: person}[self]


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """``shares`` of the clips by split (they are scaled to sum 1). Only clips now in ``of`` are moved; () means all."""

    shares: Mapping[Split, float]
    seed: int = 0
    by: GroupBy = GroupBy.GROUP
    of: tuple[Split, ...] = ()

    def __post_init__(self) -> None:
        if any(share < 0 for share in self.shares.values()) or sum(self.shares.values()) <= 0:
            raise DatasetError("expected shares of at least 0, and one above it")
        if Split.NONE in self.shares:
            raise DatasetError("expected shares of train, val and test only")


def split(records: Sequence[ClipRecord], config: SplitConfig) -> tuple[ClipRecord, ...]:
    """→ the records in the same order with new splits. Unlabelled ones are in no split.

    Raises DatasetError: nothing to split, a clip without group; LeakError: a group that also lies outside ``of``.
    """
    targets = [name for name in Split if config.shares.get(name, 0) > 0]
    shares = [config.shares[name] for name in targets]
    moved = _moved(records, config)
    places = _place(moved, shares, config.seed)
    return _resplit(records, config, {group: targets[place] for group, place in places.items()})


def folds(records: Sequence[ClipRecord], count: int, config: SplitConfig) -> dict[str, int]:
    """→ the fold (0 … ``count`` - 1) of each group, of equal shares. Raises DatasetError: too few groups for it."""
    moved = _moved(records, config)
    groups = len({record.group for record in moved})
    if not 2 <= count <= groups:
        raise DatasetError(f"expected 2 to {groups} folds, as there are {groups} groups, got {count}")
    return _place(moved, [1.0] * count, config.seed)


def take_fold(records: Sequence[ClipRecord], count: int, fold: int, config: SplitConfig) -> tuple[ClipRecord, ...]:
    """Cross-validation: the groups of fold ``fold`` (0 … ``count`` - 1) become val, the others train.

    Raises DatasetError: no such fold, too few groups; LeakError: a group that also lies outside ``of``.
    """
    if not 0 <= fold < count:
        raise DatasetError(f"expected a fold from 1 to {count}, got {fold + 1}")
    numbers = folds(records, count, config)
    splits = {group: Split.VAL if number == fold else Split.TRAIN for group, number in numbers.items()}
    return _resplit(records, config, splits)


def missing_classes(records: Sequence[ClipRecord], splits: Sequence[Split]) -> list[str]:
    """→ a line for every class that a split lacks, with the number of groups that the class has."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    present: defaultdict[str, set[Split]] = defaultdict(set)
    for record in records:
        if record.label:
            groups[record.label].add(record.group)
            present[record.label].add(record.split)
    return [
        f"{label} is not in {', '.join(name.value for name in splits if name not in present[label])}: "
        f"it has {len(groups[label])} group{'s' * (len(groups[label]) != 1)}"
        for label in sorted(groups)
        if set(splits) - present[label]
    ]


def _moves(record: ClipRecord, of: Sequence[Split]) -> bool:
    return bool(record.label) and (not of or record.split in of)


def _moved(records: Sequence[ClipRecord], config: SplitConfig) -> list[ClipRecord]:
    """→ the clips to be split, ``group`` replaced by the chosen key. Raises DatasetError: none, or one without key."""
    moved = [replace(record, group=config.by.key(record)) for record in records if _moves(record, config.of)]
    if not moved:
        raise DatasetError(f"no labelled clip to split in {', '.join(name.value for name in config.of) or 'any split'}")
    homeless = [record.path.name for record in moved if not record.group]
    if homeless:
        raise DatasetError(f"{len(homeless)} clips have no {config.by.value}: {', '.join(homeless)}")
    return moved


def _resplit(records: Sequence[ClipRecord], config: SplitConfig, splits: Mapping[str, Split]) -> tuple[ClipRecord, ...]:
    grouped = [replace(record, group=config.by.key(record)) for record in records]
    done = tuple(replace(record, split=_split_of(record, config, splits)) for record in grouped)
    check_leaks(done)
    return done


def _split_of(record: ClipRecord, config: SplitConfig, splits: Mapping[str, Split]) -> Split:
    if _moves(record, config.of):
        return splits[record.group]
    return record.split if record.label else Split.NONE


@dataclass(frozen=True, slots=True)
class _Group:
    """How many clips of which classes a group has: two arrays (K,), K classes of all."""

    name: str
    classes: NDArray[np.intp]
    counts: Floats


def _place(records: Sequence[ClipRecord], shares: Sequence[float], seed: int) -> dict[str, int]:
    """→ the index of the share that each group goes to."""
    groups = _groups(records)
    rng = np.random.default_rng(seed)
    count = min(_MOST_TRIES, 1 + _PLACINGS // len(groups))
    tries = (_Placing(groups, shares, rng) for _ in range(count))
    best = min(tries, key=lambda placing: placing.cost())  # the first of equals
    return {group.name: int(place) for group, place in zip(groups, best.places, strict=True)}


def _groups(records: Sequence[ClipRecord]) -> list[_Group]:
    indices = {label: index for index, label in enumerate(sorted({record.label for record in records}))}
    found: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for record in records:
        found[record.group][indices[record.label]] += 1
    return [
        _Group(
            name, np.array(sorted(found[name])), np.array([found[name][index] for index in sorted(found[name])], float)
        )
        for name in sorted(found)
    ]


class _Placing:
    """One try: ``places`` (G,) of the groups; ``_present`` and ``_wanted``: clips, float (splits, classes)."""

    def __init__(self, groups: Sequence[_Group], shares: Sequence[float], rng: np.random.Generator) -> None:
        classes = 1 + max(int(group.classes.max()) for group in groups)
        total = np.zeros(classes)
        for group in groups:
            total[group.classes] += group.counts
        self._groups = groups
        self._wanted: Floats = np.outer(np.asarray(shares, float) / sum(shares), total)
        self._present: Floats = np.zeros_like(self._wanted)
        self.places = np.full(len(groups), -1)
        sizes = np.array([group.counts.sum() for group in groups])
        # Sizes are blurred, so that several tries differ and equal groups come in random order.
        order = np.argsort(-sizes * rng.uniform(0.8, 1.25, len(sizes)), kind="stable")
        for index in order:
            self._put(int(index))
        self._improve(rng)

    def cost(self) -> float:
        return float(_cost(self._present, self._wanted).sum())

    def _put(self, index: int) -> None:
        """Place a group that lies nowhere where it costs least; the first of equals."""
        group = self._groups[index]
        present, wanted = self._present[:, group.classes], self._wanted[:, group.classes]
        added = _cost(present + group.counts, wanted).sum(axis=1) - _cost(present, wanted).sum(axis=1)
        self.places[index] = int(np.argmin(added))
        self._present[self.places[index], group.classes] += group.counts

    def _improve(self, rng: np.random.Generator) -> None:
        """Take each group out and place it again, until a sweep changes next to nothing."""
        for _ in range(_MAX_SWEEPS):
            before = self.places.copy()
            for index in rng.permutation(len(self._groups)):
                group = self._groups[index]
                self._present[self.places[index], group.classes] -= group.counts
                self._put(int(index))
            if np.count_nonzero(before != self.places) <= _STILL_MOVING * len(self._groups):
                return


def _cost(present: Floats, wanted: Floats) -> Floats:
    cost: Floats = (present - wanted) ** 2 / wanted + _LACKS_CLASS * (present == 0)
    return cost
