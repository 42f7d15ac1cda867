"""Where a training's batches come from: cached features, or clips. An epoch depends on seed and epoch only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.data.batches.input_pipeline import InputConfig, Stream, iterate
from models.data.batches.sequences import Keep, pad
from models.data.manifest import ClipRecord, Split
from models.training.config import Mode, TrainConfig
from models.training.feature_cache import FeatureSet, read_features

Inputs = Any  # float32 (B, …), or a dict of such by stream
Batch = tuple[Inputs, NDArray[np.float32]]  # inputs and one-hot (or mixed) targets (B, C)


class Source(Protocol):
    """One split of the data."""

    @property
    def targets(self) -> Sequence[int]:
        """Class index of each clip."""

    def batches(self, epoch: int | None) -> Iterator[Batch]:
        """The batches of an epoch, shuffled and augmented; None: in order, without augmentation."""


@dataclass(frozen=True, slots=True)
class FeatureSource:
    """Batches of cached features. In epoch e each clip shows one of its draws, chosen at random.

    ``soft`` (N, C): what is learnt instead of the class ``targets``, where a teacher says so.
    """

    features: Mapping[Mode, FeatureSet]
    targets: Sequence[int]
    classes: int
    batch: int
    seed: int
    soft: NDArray[np.float32] | None = field(default=None, kw_only=True)

    def batches(self, epoch: int | None) -> Iterator[Batch]:
        rng = np.random.default_rng([self.seed, epoch or 0])
        count = len(self.targets)
        order = np.arange(count) if epoch is None else rng.permutation(count)
        draws = np.zeros(count, int) if epoch is None else rng.integers(0, self._draws(), count)
        wanted = np.eye(self.classes, dtype=np.float32)[np.asarray(self.targets)] if self.soft is None else self.soft
        for start in range(0, count, self.batch):
            picked = order[start : start + self.batch]
            yield self._inputs(picked, draws), wanted[picked]

    def part(self, first: int, last: int) -> FeatureSource:
        """→ the examples ``first`` … ``last`` - 1."""
        features = {mode: replace(found, files=found.files[first:last]) for mode, found in self.features.items()}
        soft = None if self.soft is None else self.soft[first:last]
        return replace(self, features=features, targets=self.targets[first:last], soft=soft)

    def _inputs(self, picked: NDArray[np.int64], draws: NDArray[Any]) -> Inputs:
        arrays = {mode.value: self._load(feature, picked, draws) for mode, feature in self.features.items()}
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))

    def _draws(self) -> NDArray[np.int64]:
        files = next(iter(self.features.values())).files
        return np.array([len(row) for row in files])

    @staticmethod
    def _load(features: FeatureSet, picked: NDArray[np.int64], draws: NDArray[Any]) -> NDArray[np.float32]:
        batch = np.empty((len(picked), *features.shape), np.float32)
        for place, index in enumerate(picked):
            batch[place] = read_features(features.files[index][draws[index]])
        return batch


@dataclass(frozen=True, slots=True)
class SequenceSource(FeatureSource):
    """As ``FeatureSource`` for one stream of sequences (t, c): inputs are dict(features=…, mask=…), padded to ``t``."""

    def _inputs(self, picked: NDArray[np.int64], draws: NDArray[Any]) -> Inputs:
        (features,) = self.features.values()
        rows = [read_features(features.files[index][draws[index]]) for index in picked]
        padded = pad(rows, features.shape[0], Keep.FIRST)
        return {"features": padded.features, "mask": padded.mask}


@dataclass(frozen=True, slots=True)
class ClipSource:
    """Batches of clips, decoded and augmented as they are needed."""

    records: Sequence[ClipRecord]
    targets: Sequence[int]
    config: InputConfig

    def batches(self, epoch: int | None) -> Iterator[Batch]:
        return iterate(self.records, self.targets, self._of(epoch), epoch or 0)

    def _of(self, epoch: int | None) -> InputConfig:
        if epoch is None:
            return replace(self.config, shuffle=False, augment=None)
        return replace(self.config, shuffle=True)


def input_config(config: TrainConfig, classes: int) -> InputConfig:
    """What the input pipeline needs. Augmentation is for whatever is trained on, from whichever split."""
    return InputConfig(
        num_classes=classes,
        window=config.input.window,
        size=config.input.size,
        stream=Stream.BOTH if config.mode is Mode.FUSE else Stream(config.mode.value),
        augment=config.input.augment,
        augment_splits=tuple(Split),
        batch=config.batch_size,
        seed=config.input.augment_seed,
        workers=config.input.workers,
        flow_folder=Path(config.input.flow_folder) if config.input.flow_folder else None,
        flow_method=config.input.flow_method,
    )


def mix(batch: Batch, strength: float, rng: np.random.Generator) -> Batch:
    """Mixup (Zhang et al. 2018): every example with another of the batch, share λ ~ Beta(strength, strength).

    Of two sequences, what either of them shows is shown.
    """
    inputs, targets = batch
    share = rng.beta(strength, strength, len(targets)).astype(np.float32)
    other = rng.permutation(len(targets))

    def mixed(array: NDArray[Any]) -> NDArray[Any]:
        if array.dtype == np.bool_:
            return np.asarray(array | array[other])
        weight = share.reshape(-1, *([1] * (array.ndim - 1)))
        return array * weight + array[other] * (1 - weight)

    if isinstance(inputs, dict):
        return {name: mixed(array) for name, array in inputs.items()}, mixed(targets)
    return mixed(inputs), mixed(targets)
