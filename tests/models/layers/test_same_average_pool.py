from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import SameAveragePool
from tests.models.check_layer import RNG, check_layer


def test_same_average_pool_passes_the_layer_check() -> None:
    check_layer(SameAveragePool(3, 2), (2, 3, 6, 5, 4), (2, 3, 3, 3, 4), weight_count=0)


@pytest.mark.parametrize(("stride", "size_hw"), [(1, (4, 3)), (2, (6, 5)), (2, (1, 2))])
def test_same_average_pool_is_the_mean_of_the_places_inside(stride: int, size_hw: tuple[int, int]) -> None:
    x = RNG.normal(size=(2, 2, *size_hw, 3)).astype(np.float32)
    y = keras.ops.convert_to_numpy(SameAveragePool(3, stride)(x))
    before = [max((-(-length // stride) - 1) * stride + 3 - length, 0) // 2 for length in size_hw]
    for row, column in np.ndindex(*y.shape[2:4]):
        top, left = row * stride - before[0], column * stride - before[1]
        window = x[:, :, max(top, 0) : top + 3, max(left, 0) : left + 3]
        np.testing.assert_allclose(y[:, :, row, column], window.mean((2, 3)), atol=1e-5)


def test_same_average_pool_without_a_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 3 and 0"):
        SameAveragePool(3, 0)
