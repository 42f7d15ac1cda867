from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import Unit3D
from models.layers.unit3d import factored
from tests.models.check_layer import check_layer


def test_unit3d_strided_passes_the_layer_check() -> None:
    y = check_layer(Unit3D(6, (3, 3, 3), (2, 2, 2)), (2, 5, 8, 7, 4), (2, 3, 4, 4, 6), weight_count=4)
    assert (y >= 0).all()


def test_unit3d_normalises_without_scale_and_with_the_published_epsilon() -> None:
    layer = Unit3D(1)
    layer.build((1, 1, 1, 1, 1))
    layer.conv.kernel.assign(np.ones((1, 1, 1, 1, 1)))
    layer.norm.moving_mean.assign([1.0])
    layer.norm.moving_variance.assign([0.0])
    y = layer(np.full((1, 1, 1, 1, 1), 2.0, np.float32))
    assert layer.norm.gamma is None
    assert float(y[0, 0, 0, 0, 0]) == pytest.approx(1 / np.sqrt(1e-3), rel=1e-5)


def test_unit3d_pads_an_even_size_at_the_end_only() -> None:
    """TensorFlow's SAME: size 4, kernel 3, stride 2 pads one position, at the end."""
    layer = Unit3D(1, (3, 1, 1), (2, 1, 1))
    layer.build((1, 4, 1, 1, 1))
    layer.conv.kernel.assign(np.array([1, 10, 100], np.float32).reshape(3, 1, 1, 1, 1))
    layer.norm.moving_variance.assign([1 - 1e-3])
    y = layer(np.array([1, 2, 3, 4], np.float32).reshape(1, 4, 1, 1, 1))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(y).ravel(), [321, 43], rtol=1e-5)


def test_unit3d_split_in_space_and_time_passes_the_layer_check() -> None:
    y = check_layer(Unit3D(6, (3, 3, 3), (2, 2, 2), rank=5), (2, 5, 8, 7, 4), (2, 3, 4, 4, 6), weight_count=5)
    assert (y >= 0).all()


def test_unit3d_split_at_full_rank_gives_what_the_whole_kernel_gives() -> None:
    """Kernel (3, 3, 3, 2, 4) is a matrix of 18 × 12: rank 12 loses nothing, also with strides and padding."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 1, (3, 3, 3, 2, 4)).astype(np.float32)
    clip = rng.normal(0, 1, (1, 5, 6, 7, 2)).astype(np.float32)
    whole, split = Unit3D(4, (3, 3, 3), (2, 2, 1)), Unit3D(4, (3, 3, 3), (2, 2, 1), rank=12)
    whole.build(clip.shape)
    split.build(clip.shape)
    whole.conv.kernel.assign(kernel)
    for convolution, half in zip((split.space, split.conv), factored(kernel, 12), strict=True):
        convolution.kernel.assign(half)
    np.testing.assert_allclose(split(clip), whole(clip), rtol=1e-4, atol=1e-4)


def test_factored_is_as_close_as_its_rank_allows() -> None:
    """Eckart & Young: what is lost are the singular values that were left out."""
    kernel = np.random.default_rng(1).normal(0, 1, (3, 3, 3, 2, 4)).astype(np.float32)
    values = np.linalg.svd(kernel.transpose(1, 2, 3, 0, 4).reshape(18, 12), compute_uv=False)
    space, then = factored(kernel, 5)
    assert (space.shape, then.shape) == ((1, 3, 3, 2, 5), (3, 1, 1, 5, 4))
    joined = np.einsum("hwir,tro->thwio", space[0], then[:, 0, 0])
    assert np.sum((joined - kernel) ** 2) == pytest.approx(np.sum(values[5:] ** 2), rel=1e-4)


def test_factored_beyond_full_rank_adds_nothing() -> None:
    kernel = np.random.default_rng(2).normal(0, 1, (3, 1, 1, 2, 4)).astype(np.float32)
    space, then = factored(kernel, 7)
    assert not space[..., 2:].any() and not then[:, :, :, 2:].any()
    np.testing.assert_allclose(np.einsum("hwir,tro->thwio", space[0], then[:, 0, 0]), kernel, atol=1e-5)


@pytest.mark.parametrize(("filters", "rank"), [(0, 0), (1, -1)])
def test_unit3d_without_filters_or_with_a_negative_rank_is_refused(filters: int, rank: int) -> None:
    with pytest.raises(ValueError, match=f"got {filters} and {rank}"):
        Unit3D(filters, rank=rank)
