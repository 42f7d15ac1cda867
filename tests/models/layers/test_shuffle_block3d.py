from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import ShuffleBlock3D
from tests.models.check_layer import RNG, check_layer


def test_shuffle_block3d_that_keeps_the_size_passes_the_layer_check() -> None:
    check_layer(ShuffleBlock3D(6), (2, 3, 4, 5, 6), (2, 3, 4, 5, 6), weight_count=3 * 5)


def test_shuffle_block3d_that_halves_passes_the_layer_check() -> None:
    check_layer(ShuffleBlock3D(8, 2), (2, 5, 4, 5, 6), (2, 3, 2, 3, 8), weight_count=5 * 5)


def test_shuffle_block3d_puts_the_untouched_half_on_every_other_channel() -> None:
    layer = ShuffleBlock3D(6)
    x = RNG.normal(size=(2, 2, 3, 3, 6)).astype(np.float32)
    y = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(y[..., 0::2], x[..., :3])
    main = x[..., 3:]
    for unit in layer.main:
        main = unit(main)
    np.testing.assert_allclose(y[..., 1::2], keras.ops.convert_to_numpy(main), atol=1e-6)


def test_shuffle_block3d_with_odd_filters_or_another_input_is_refused() -> None:
    with pytest.raises(ValueError, match="filters must be even and at least 2, got 5"):
        ShuffleBlock3D(5)
    with pytest.raises(ValueError, match="must have 6 channels, got 4"):
        ShuffleBlock3D(6).build((1, 2, 3, 3, 4))
