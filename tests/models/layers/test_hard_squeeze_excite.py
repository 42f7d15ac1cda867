from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import HardSqueezeExcite3D
from tests.models.check_layer import RNG, check_layer

SHAPE = (2, 3, 2, 2, 8)


def test_hard_squeeze_excite_passes_the_layer_check() -> None:
    check_layer(HardSqueezeExcite3D(3), SHAPE, SHAPE, weight_count=4)


def test_hard_squeeze_excite_gates_each_channel_of_the_whole_clip_between_nothing_and_all() -> None:
    layer = HardSqueezeExcite3D(5)
    layer.build(SHAPE)
    layer.expand.kernel.assign(RNG.normal(0, 4, (5, 8)))
    x = RNG.uniform(0.5, 2, SHAPE).astype(np.float32)
    gates = keras.ops.convert_to_numpy(layer(x)) / x
    np.testing.assert_allclose(gates, np.broadcast_to(gates[:, :1, :1, :1], gates.shape), atol=1e-5)
    assert gates.min() >= 0
    assert gates.max() <= 1 + 1e-5
    assert np.ptp(gates[0, 0, 0, 0]) > 0.5


def test_hard_squeeze_excite_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden must be at least 1, got 0"):
        HardSqueezeExcite3D(0)
