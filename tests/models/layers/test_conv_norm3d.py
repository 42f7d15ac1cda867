from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import ConvNorm3D
from tests.models.check_layer import RNG, check_layer


@pytest.mark.parametrize(("filters", "channels"), [(6, 6), (0, 4)])
def test_conv_norm3d_strided_passes_the_layer_check(filters: int, channels: int) -> None:
    layer = ConvNorm3D(filters, (3, 3, 3), (1, 2, 2), "hard_silu")
    check_layer(layer, (2, 3, 8, 7, 4), (2, 3, 4, 4, channels), weight_count=5)


def test_conv_norm3d_normalises_and_then_swishes_hard() -> None:
    layer = ConvNorm3D(1, activation="hard_silu")
    layer.build((1, 1, 1, 7, 1))
    layer.conv.kernel.assign(np.ones((1, 1, 1, 1, 1)))
    layer.norm.moving_variance.assign([1 - 1e-3])
    layer.norm.gamma.assign([2.0])
    x = np.linspace(-3, 3, 7).astype(np.float32)
    y = keras.ops.convert_to_numpy(layer(x.reshape(1, 1, 1, 7, 1))).ravel()
    np.testing.assert_allclose(y, 2 * x * np.clip(2 * x + 3, 0, 6) / 6, atol=1e-5)


def test_conv_norm3d_learns_statistics_in_training_only() -> None:
    layer = ConvNorm3D(0, activation="linear")
    x = RNG.normal(5, 1, (2, 2, 3, 3, 2)).astype(np.float32)
    layer(x, training=False)
    assert float(keras.ops.max(keras.ops.abs(layer.norm.moving_mean))) == 0
    layer(x, training=True)
    assert float(keras.ops.max(keras.ops.abs(layer.norm.moving_mean))) > 0


def test_conv_norm3d_with_negative_filters_or_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="activation must be one of relu, hard_silu, linear, got 'gelu'"):
        ConvNorm3D(2, activation="gelu")
    with pytest.raises(ValueError, match="filters must be at least 0, got -1"):
        ConvNorm3D(-1)
