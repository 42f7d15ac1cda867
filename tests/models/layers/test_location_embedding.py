from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import LocationEmbedding
from tests.models.check_layer import check_layer


def test_location_embedding_passes_the_layer_check() -> None:
    check_layer(LocationEmbedding(5), (2, 3, 4, 6, 8), (2, 3, 4, 6, 18), weight_count=8)


def test_location_embedding_writes_place_and_time_beside_unchanged_features() -> None:
    x = np.random.default_rng(3).normal(size=(2, 4, 3, 5, 2)).astype(np.float32)
    y = keras.ops.convert_to_numpy(LocationEmbedding(6)(x))
    np.testing.assert_array_equal(y[..., :2], x)
    space, time = y[..., 2:8], y[..., 8:]
    np.testing.assert_array_equal(space, np.broadcast_to(space[:1, :1], space.shape))
    np.testing.assert_array_equal(time, np.broadcast_to(time[:1, :, :1, :1], time.shape))
    assert np.ptp(space[0, 0].reshape(15, 6), axis=0).max() > 0
    assert np.ptp(time[0, :, 0, 0], axis=0).max() > 0


def test_location_embedding_of_the_middle_is_that_of_zero() -> None:
    """Offsets start at zero, so a perceptron gives zero for the place zero: the middle cell and the middle step."""
    y = keras.ops.convert_to_numpy(LocationEmbedding(6)(np.zeros((1, 4, 3, 5, 1), np.float32)))
    assert not y[0, :, 1, 2, 1:7].any()
    assert not y[0, 2, :, :, 7:].any()
    assert y[0, 0, 0, 0].any()


def test_location_embedding_needs_a_known_size() -> None:
    with pytest.raises(ValueError, match="must be known"):
        LocationEmbedding().build((None, None, 4, 4, 8))
