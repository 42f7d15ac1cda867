from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import DepthwiseConv3D
from models.layers.depthwise_conv3d import grouped_depthwise, grouped_is_better
from tests.models.check_layer import RNG, check_layer


def same_depthwise(x: np.ndarray, kernel: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """The definition, position by position: (B, T, H, W, C) with zeros around as TensorFlow's SAME puts them."""
    sizes = [-(-length // stride) for length, stride in zip(x.shape[1:4], strides, strict=True)]
    around = [
        max((size - 1) * stride + reach - length, 0)
        for size, stride, reach, length in zip(sizes, strides, kernel.shape, x.shape[1:4], strict=False)
    ]
    padded = np.pad(x, [(0, 0), *((total // 2, total - total // 2) for total in around), (0, 0)])
    y = np.zeros((x.shape[0], *sizes, x.shape[-1]))
    for place in np.ndindex(*sizes):
        low = [index * stride for index, stride in zip(place, strides, strict=True)]
        t, h, w = (slice(start, start + reach) for start, reach in zip(low, kernel.shape, strict=False))
        y[(slice(None), *place)] = (padded[:, t, h, w] * kernel).sum((1, 2, 3))
    return y


@pytest.mark.parametrize(
    ("kernel_size", "strides", "frames"),
    [
        ((3, 3, 3), (1, 1, 1), 4),
        ((3, 5, 5), (2, 2, 2), 5),
        ((3, 3, 3), (2, 2, 2), 1),
        ((5, 3, 3), (2, 1, 1), 6),
        ((1, 3, 3), (1, 2, 2), 3),
        ((4, 1, 1), (3, 1, 1), 7),
    ],
)
def test_depthwise_conv3d_is_the_convolution_of_the_definition(
    kernel_size: tuple[int, int, int], strides: tuple[int, int, int], frames: int
) -> None:
    x = RNG.normal(size=(2, frames, 6, 5, 3)).astype(np.float32)
    layer = DepthwiseConv3D(kernel_size, strides)
    layer.build(x.shape)
    expected = same_depthwise(x, keras.ops.convert_to_numpy(layer.kernel), strides)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, atol=1e-5)


def test_depthwise_conv3d_passes_the_layer_check() -> None:
    check_layer(DepthwiseConv3D((3, 3, 3), (2, 2, 2)), (2, 5, 6, 7, 4), (2, 3, 3, 4, 4), weight_count=1)


@pytest.mark.parametrize(("strides", "frames"), [((1, 1, 1), 4), ((2, 2, 2), 5), ((2, 2, 2), 1)])
def test_depthwise_conv3d_grouped_gives_the_same(strides: tuple[int, int, int], frames: int) -> None:
    x = RNG.normal(size=(2, frames, 6, 5, 3)).astype(np.float32)
    layer = DepthwiseConv3D((3, 3, 3), strides)
    expected = keras.ops.convert_to_numpy(layer(x))
    assert not grouped_is_better()
    with grouped_depthwise():
        assert grouped_is_better()
        grouped = keras.ops.convert_to_numpy(layer(x))
    assert not grouped_is_better()
    np.testing.assert_allclose(grouped, expected, atol=1e-5)


def test_depthwise_conv3d_counts_the_products_of_a_3d_convolution() -> None:
    layer = DepthwiseConv3D((3, 5, 5), (2, 2, 2))
    assert layer.multiply_adds((1, 8, 9, 9, 6)) == 4 * 5 * 5 * 6 * 3 * 5 * 5


def test_depthwise_conv3d_with_unequal_strides_or_unknown_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be equal, got \(1, 1, 2\)"):
        DepthwiseConv3D((3, 3, 3), (1, 1, 2))
    with pytest.raises(ValueError, match="sizes and strides of at least 1"):
        DepthwiseConv3D((0, 3, 3))
    with pytest.raises(ValueError, match="frames and channels must be known"):
        DepthwiseConv3D().build((None, None, 8, 8, 4))
