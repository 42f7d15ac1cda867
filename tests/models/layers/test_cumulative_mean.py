from __future__ import annotations

import keras
import numpy as np

from models.layers import CumulativeMean
from tests.models.check_layer import RNG, check_layer

SHAPE = (2, 4, 3, 2, 5)


def test_cumulative_mean_passes_the_layer_check() -> None:
    check_layer(CumulativeMean(), SHAPE, (2, 4, 5), weight_count=0)


def test_cumulative_mean_of_a_frame_covers_it_and_all_before() -> None:
    x = RNG.normal(size=SHAPE).astype(np.float32)
    y = keras.ops.convert_to_numpy(CumulativeMean()(x))
    for frame in range(4):
        np.testing.assert_allclose(y[:, frame], x[:, : frame + 1].mean((1, 2, 3)), atol=1e-6)


def test_cumulative_mean_goes_on_after_each_stream_s_own_frames() -> None:
    layer = CumulativeMean()
    x = RNG.normal(size=SHAPE).astype(np.float32)
    ages = np.array([0, 100_000], np.int32)
    mean = np.array(
        [[9.0] * 5, [2.0] * 5], np.float32
    )  # the first stream has seen nothing: its mean counts for nothing
    y = keras.ops.convert_to_numpy(layer(x, mean=mean, seen=ages))
    np.testing.assert_allclose(y[0, 1], x[0, :2].mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(y[1, 0], (100_000 * 2.0 + x[1, 0].mean((0, 1))) / 100_001, rtol=1e-6)


def test_cumulative_mean_of_half_precision_counts_past_256() -> None:
    """bfloat16 has no 257: frames counted or summed in it would stand still."""
    layer = CumulativeMean(dtype="float32")
    x = keras.ops.cast(np.repeat([0.0, 1.0], 300).reshape(1, 600, 1, 1, 1), "bfloat16")
    assert float(layer(x)[0, -1, 0]) == 0.5
