from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import TemporalDepthwise
from models.layers.depthwise_conv3d import grouped_depthwise
from tests.models.check_layer import RNG, check_layer

SHAPE = (2, 5, 3, 2, 4)


def test_temporal_depthwise_passes_the_layer_check() -> None:
    check_layer(TemporalDepthwise(3), SHAPE, SHAPE, weight_count=1)


def test_temporal_depthwise_weighs_this_frame_and_those_before() -> None:
    layer = TemporalDepthwise(3)
    x = RNG.normal(size=SHAPE).astype(np.float32)
    y = keras.ops.convert_to_numpy(layer(x))
    kernel = keras.ops.convert_to_numpy(layer.kernel)[:, 0, :, 0]  # (3, C)
    for frame in range(5):
        expected = sum(x[:, frame - back] * kernel[2 - back] for back in range(3) if frame >= back)
        np.testing.assert_allclose(y[:, frame], expected, atol=1e-5)


@pytest.mark.parametrize("cut", [1, 3, 4])
def test_temporal_depthwise_of_a_cut_clip_is_that_of_the_whole(cut: int) -> None:
    layer = TemporalDepthwise(4)
    x = RNG.normal(size=SHAPE).astype(np.float32)
    expected = keras.ops.convert_to_numpy(layer(x))
    past = np.zeros((2, 3, 3, 2, 4), np.float32)
    first = layer(x[:, :cut], past=past)
    second = layer(x[:, cut:], past=layer.remembered(x[:, :cut], past))
    np.testing.assert_allclose(keras.ops.concatenate([first, second], axis=1), expected, atol=1e-5)


def test_temporal_depthwise_grouped_gives_the_same() -> None:
    layer = TemporalDepthwise(3)
    x = RNG.normal(size=SHAPE).astype(np.float32)
    expected = keras.ops.convert_to_numpy(layer(x))
    with grouped_depthwise():
        np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, atol=1e-5)


def test_temporal_depthwise_of_one_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 2, got 1"):
        TemporalDepthwise(1)
