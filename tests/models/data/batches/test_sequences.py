from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.batches.sequences import Keep, SequenceConfig, pad, sequence_batches
from models.errors import DatasetError


def tracks(*lengths: int, width: int = 3) -> list[NDArray[np.float32]]:
    """Track i counts up in steps of one from 100·i."""
    return [
        np.tile(np.arange(length, dtype=np.float32)[:, None] + 100 * index, (1, width))
        for index, length in enumerate(lengths)
    ]


def test_pad_puts_zeros_at_the_end_and_masks_them() -> None:
    padded = pad(tracks(2, 4))
    assert padded.features.dtype == np.float32 and padded.mask.dtype == np.bool_
    assert padded.features[..., 0].tolist() == [[0, 1, 0, 0], [100, 101, 102, 103]]
    assert padded.mask.tolist() == [[True, True, False, False], [True] * 4]


def test_pad_row_of_zeros_counts_as_real() -> None:
    assert pad([np.zeros((3, 2)), np.ones((5, 2))]).mask.sum(axis=1).tolist() == [3, 5]


@pytest.mark.parametrize(("keep", "kept"), [(Keep.LAST, [2, 3, 4]), (Keep.FIRST, [0, 1, 2])])
def test_pad_too_long_keeps_the_end_asked_for(keep: Keep, kept: list[int]) -> None:
    padded = pad(tracks(5), 3, keep)
    assert padded.features[0, :, 0].tolist() == kept
    assert padded.mask.all()


def test_pad_to_a_length_beyond_the_longest() -> None:
    assert pad(tracks(2, 4), 6).features.shape == (2, 6, 3)


def test_pad_lists_every_sequence_that_does_not_fit() -> None:
    wrong = [np.ones((3, 2)), np.ones((3, 5)), np.ones((0, 2)), np.ones(4)]
    with pytest.raises(DatasetError, match=r"number 1 is \(3, 5\), number 2 is \(0, 2\), number 3 is \(4,\)"):
        pad(wrong)
    with pytest.raises(DatasetError, match="at least one"):
        pad([])


def test_padded_sequence_gives_a_recurrent_network_the_same_answer_as_the_bare_one() -> None:
    import keras

    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(length, 4)).astype(np.float32) for length in (3, 7, 5)]
    layer = keras.layers.Bidirectional(keras.layers.LSTM(6))
    padded = pad(sequences)
    together = np.asarray(layer(padded.features, mask=padded.mask))
    for row, sequence in zip(together, sequences, strict=True):
        assert np.asarray(layer(sequence[None]))[0] == pytest.approx(row, abs=1e-5)


def test_batches_pad_to_the_longest_of_each_and_keep_targets() -> None:
    pairs = list(sequence_batches(tracks(2, 4, 9, 1), [0, 1, 1, 0], SequenceConfig(2, batch=2)).as_numpy_iterator())
    assert [features.shape for (features, _), _ in pairs] == [(2, 4, 3), (2, 9, 3)]
    assert [mask.sum(axis=1).tolist() for (_, mask), _ in pairs] == [[2, 4], [9, 1]]
    assert np.array_equal(np.concatenate([targets for _, targets in pairs]), np.eye(2)[[0, 1, 1, 0]])


def test_batches_shuffle_by_epoch_and_repeat_under_one_seed() -> None:
    config = SequenceConfig(20, batch=6, length=4, shuffle=True, seed=3)

    def order(epoch: int) -> list[int]:
        made = sequence_batches(tracks(*range(1, 21)), range(20), config, epoch)
        assert len(made) == 4
        pairs = list(made.as_numpy_iterator())
        assert all(features.shape[1:] == (4, 3) for (features, _), _ in pairs)
        numbers = [int(features[0, 0]) // 100 for (batch, _), _ in pairs for features in batch]
        assert np.concatenate([targets for _, targets in pairs]).argmax(axis=1).tolist() == numbers
        return numbers

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == list(range(20))


def test_batches_read_memory_mapped_features(tmp_path: Path) -> None:
    for index, track in enumerate(tracks(3, 5)):
        np.save(tmp_path / f"{index}.npy", track.astype(np.float16))
    mapped = [np.load(tmp_path / f"{index}.npy", mmap_mode="r") for index in range(2)]
    (((features, mask), _),) = sequence_batches(mapped, [0, 1], SequenceConfig(2)).as_numpy_iterator()
    assert np.array_equal(features, pad(tracks(3, 5)).features) and mask.sum() == 8


def test_batches_targets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"expected 2 targets from 0 to 1, got 2, among them \[2\]"):
        sequence_batches(tracks(2, 3), [0, 2], SequenceConfig(2))
    with pytest.raises(DatasetError, match="got 1"):
        sequence_batches(tracks(2, 3), [0], SequenceConfig(2))


def test_config_senseless_numbers_are_refused() -> None:
    with pytest.raises(DatasetError, match="expected num_classes"):
        SequenceConfig(2, batch=0)
