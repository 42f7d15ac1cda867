from __future__ import annotations

import keras
import numpy as np

from models.layers import InvertedResidual3D
from tests.models.check_layer import RNG, check_layer


def test_inverted_residual3d_that_halves_passes_the_layer_check() -> None:
    layer = InvertedResidual3D(6, 16, (3, 5, 5), (2, 2, 2), gate=4, activation="hard_silu")
    # Three units of five arrays, and the gate's four.
    check_layer(layer, (2, 5, 6, 7, 4), (2, 3, 3, 4, 6), weight_count=3 * 5 + 4)


def test_inverted_residual3d_as_wide_as_its_input_has_no_widening() -> None:
    check_layer(InvertedResidual3D(4, 4), (2, 3, 4, 4, 4), (2, 3, 4, 4, 4), weight_count=2 * 5)


def test_inverted_residual3d_adds_its_input_where_the_shape_stays() -> None:
    x = RNG.normal(size=(1, 2, 3, 3, 4)).astype(np.float32)
    for filters, expected in ((4, x), (6, np.zeros((1, 2, 3, 3, 6)))):
        layer = InvertedResidual3D(filters, 8)
        layer.build(x.shape)
        layer.narrow.norm.gamma.assign(np.zeros(filters))
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(x)), expected)
