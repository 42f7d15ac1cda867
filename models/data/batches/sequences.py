"""Sequences of different lengths for the recurrent networks: padded with zeros at their end, with a mask.

A sequence is the features of one track, one row a picture or a clip. The mask says which rows are real; it comes from
the lengths, never from the values, so that a row which happens to be zero counts. Padding stands at the end, which
is what the fast recurrent kernels of GPUs ask for: ``layer(features, mask=mask)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.batches.input_pipeline import epoch_order, import_tensorflow
from models.errors import DatasetError

Features = NDArray[np.floating[Any]]  # (T, D); may be memory-mapped


class Keep(str, Enum):
    """Which end of a sequence that is too long stays."""

    FIRST = "first"
    LAST = "last"  # what happened last decides what a person is doing now


@dataclass(frozen=True, slots=True)
class PaddedSequences:
    """``features``: float32 (N, T, D), zero where ``mask``, bool (N, T), is False."""

    features: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SequenceConfig:
    """``length`` rows at most (None: as many as the longest of a batch has). ``shuffle`` by ``seed`` and epoch."""

    num_classes: int
    batch: int = 32
    length: int | None = None
    keep: Keep = Keep.LAST
    shuffle: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_classes < 1 or self.batch < 1 or self.seed < 0 or (self.length is not None and self.length < 1):
            raise DatasetError(f"expected num_classes, batch and length >= 1 and seed >= 0, got {self}")


def pad(sequences: Sequence[Features], length: int | None = None, keep: Keep = Keep.LAST) -> PaddedSequences:
    """N arrays (T_i, D) → features (N, T, D) and mask (N, T), T being ``length`` or the longest T_i.

    Raises DatasetError that lists every sequence which is empty, not two-dimensional, or of another width.
    """
    _check(sequences)
    rows = length or max(len(sequence) for sequence in sequences)
    features = np.zeros((len(sequences), rows, sequences[0].shape[1]), np.float32)
    mask = np.zeros((len(sequences), rows), np.bool_)
    for index, sequence in enumerate(sequences):
        kept = sequence[:rows] if keep is Keep.FIRST else sequence[-rows:]
        features[index, : len(kept)] = kept
        mask[index, : len(kept)] = True
    return PaddedSequences(features, mask)


def sequence_batches(
    sequences: Sequence[Features], targets: Sequence[int], config: SequenceConfig, epoch: int = 0
) -> Any:
    """One epoch as a ``tf.data.Dataset`` of ((float32 (B, T, D), bool (B, T)), float32 one-hot (B, C)).

    Only the rows of the batches at hand are read, so ``sequences`` may be memory-mapped arrays of any size.
    Raises DatasetError as ``pad``, and for targets that do not fit.
    """
    _check(sequences)
    _check_targets(sequences, targets, config)
    tf = import_tensorflow()
    order = epoch_order(len(sequences), config.seed if config.shuffle else None, epoch)
    starts = range(0, len(order), config.batch)

    def generate() -> Any:
        for start in starts:
            picked = order[start : start + config.batch]
            padded = pad([sequences[index] for index in picked], config.length, config.keep)
            one_hot = np.eye(config.num_classes, dtype=np.float32)[[targets[index] for index in picked]]
            yield (padded.features, padded.mask), one_hot

    shape = (None, config.length, sequences[0].shape[1])
    features, mask = tf.TensorSpec(shape, tf.float32), tf.TensorSpec(shape[:2], tf.bool)
    signature = ((features, mask), tf.TensorSpec((None, config.num_classes), tf.float32))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(starts))).prefetch(1)


def _check(sequences: Sequence[Features]) -> None:
    if not sequences:
        raise DatasetError("expected at least one sequence, got none")
    width = sequences[0].shape[-1] if sequences[0].ndim else 0
    wrong = [
        f"number {index} is {sequence.shape}"
        for index, sequence in enumerate(sequences)
        if sequence.ndim != 2 or len(sequence) == 0 or sequence.shape[1] != width
    ]
    if wrong:
        raise DatasetError(f"expected sequences (T, {width}) with T from 1 on; {', '.join(wrong)}")


def _check_targets(sequences: Sequence[Features], targets: Sequence[int], config: SequenceConfig) -> None:
    foreign = sorted({target for target in targets if not 0 <= target < config.num_classes})
    if len(sequences) != len(targets) or foreign:
        raise DatasetError(
            f"expected {len(sequences)} targets from 0 to {config.num_classes - 1}, got {len(targets)}"
            + (f", among them {foreign}" if foreign else "")
        )
