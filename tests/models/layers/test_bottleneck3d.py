from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import Bottleneck3D
from tests.models.check_layer import check_layer


@pytest.mark.parametrize(
    ("stride", "channels", "output_shape", "weight_count"),
    [
        (1, 6, (2, 3, 5, 4, 8), 20),  # another number of channels: four convolutions and four normalisations
        (2, 8, (2, 3, 3, 2, 8), 20),
        (1, 8, (2, 3, 5, 4, 8), 15),  # the input passes as it is
    ],
)
def test_bottleneck_shapes(stride: int, channels: int, output_shape: tuple[int, ...], weight_count: int) -> None:
    check_layer(Bottleneck3D(4, 8, 3, stride), (2, 3, 5, 4, channels), output_shape, weight_count)


def test_bottleneck_starts_as_the_identity_of_its_positive_input() -> None:
    x = np.random.default_rng(1).uniform(0, 1, (1, 2, 4, 4, 8)).astype(np.float32)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(Bottleneck3D(4, 8)(x)), x)


@pytest.mark.parametrize(("time_reach", "touched"), [(1, [2]), (3, [1, 2, 3])])
def test_bottleneck_looks_at_as_many_frames_as_it_says(time_reach: int, touched: list[int]) -> None:
    layer = Bottleneck3D(4, 8, time_reach)
    x = np.random.default_rng(1).uniform(0, 1, (1, 5, 4, 4, 8)).astype(np.float32)
    layer(x)
    layer.units[-1][1].gamma.assign(np.ones(8, np.float32))  # zero at the start
    other = x.copy()
    other[:, 2] += 1
    change = keras.ops.convert_to_numpy(layer(other) - layer(x))
    assert np.flatnonzero(np.abs(change).max(axis=(0, 2, 3, 4))).tolist() == touched


def test_bottleneck_without_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="sizes must be at least 1, got 0, 8, 1 and 1"):
        Bottleneck3D(0, 8)
