from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.conversion.planar import planar_convolution, planar_pool


def video(channels: int = 4) -> tf.Tensor:
    """float32 (2, 7, 9, 8, channels): sizes that no stride divides."""
    return tf.constant(np.random.default_rng(0).normal(size=(2, 7, 9, 8, channels)).astype(np.float32))


def kernel(size: tuple[int, int, int], channels: int, filters: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).normal(size=(*size, channels, filters)).astype(np.float32))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("size", "strides"),
    [((1, 1, 1), (1, 1, 1)), ((3, 3, 3), (1, 1, 1)), ((7, 5, 3), (2, 2, 2)), ((2, 1, 4), (3, 1, 2))],
)
def test_planar_convolution_is_the_convolution_in_three_dimensions(
    size: tuple[int, int, int], strides: tuple[int, int, int], padding: str
) -> None:
    weights = kernel(size, 4, 5)
    expected = tf.nn.conv3d(video(), weights, (1, *strides, 1), padding.upper())
    np.testing.assert_allclose(planar_convolution(video(), weights, strides, padding), expected, atol=1e-4)


def test_planar_convolution_reaches_as_far_as_its_dilation() -> None:
    """TensorFlow dilates in three dimensions on some processors only: holes in a longer kernel are the same."""
    weights, dilation = kernel((3, 3, 1), 4, 5), (2, 1, 1)
    spread = np.zeros((5, 3, 1, 4, 5), np.float32)
    spread[::2] = weights
    expected = tf.nn.conv3d(video(), tf.constant(spread), (1, 1, 1, 1, 1), "SAME")
    got = planar_convolution(video(), weights, (1, 1, 1), "same", dilation)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_planar_convolution_keeps_groups_apart() -> None:
    weights = kernel((3, 3, 3), 2, 6)  # two groups of two channels, three filters each
    parts = [
        tf.nn.conv3d(video()[..., 2 * g : 2 * g + 2], weights[..., 3 * g : 3 * g + 3], [1] * 5, "SAME") for g in (0, 1)
    ]
    got = planar_convolution(video(), weights, (1, 1, 1), "same")
    np.testing.assert_allclose(got, tf.concat(parts, -1), atol=2e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("size", "strides"),
    [((3, 3, 3), (1, 1, 1)), ((2, 2, 2), (2, 2, 2)), ((1, 3, 3), (1, 2, 2)), ((2, 1, 1), (1, 1, 1))],
)
def test_planar_pools_are_the_pools_in_three_dimensions(
    size: tuple[int, int, int], strides: tuple[int, int, int], padding: str
) -> None:
    pairs = ((tf.nn.max_pool2d, tf.nn.max_pool3d), (tf.nn.avg_pool2d, tf.nn.avg_pool3d))
    for flat, solid in pairs:
        expected = solid(video(), (1, *size, 1), (1, *strides, 1), padding.upper())
        np.testing.assert_allclose(planar_pool(flat, video(), size, strides, padding), expected, atol=1e-6)
