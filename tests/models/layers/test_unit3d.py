from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import Unit3D
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


def test_unit3d_without_filters_is_refused() -> None:
    with pytest.raises(ValueError, match="filters must be at least 1, got 0"):
        Unit3D(0)
