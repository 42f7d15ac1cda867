from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from models.layers import GateAxes, SqueezeExcite3D
from tests.models.check_layer import RNG, check_layer

SHAPE = (2, 4, 3, 3, 32)


@pytest.mark.parametrize("axes", ["channel", "channel_time"])
def test_squeeze_excite_passes_the_layer_check(axes: str) -> None:
    check_layer(SqueezeExcite3D(4, axes), SHAPE, SHAPE, weight_count=4)


@pytest.mark.parametrize("axes", list(GateAxes))
def test_squeeze_excite_starts_as_the_identity(axes: GateAxes) -> None:
    x = RNG.normal(size=SHAPE).astype(np.float32)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(SqueezeExcite3D(4, axes)(x)), x)


def gates(layer: Any, x: np.ndarray) -> np.ndarray:
    """(B, T, C): what each position was multiplied by, which must be one number over all of space."""
    ratio = keras.ops.convert_to_numpy(layer(x)) / x
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :, :1, :1], ratio.shape), rtol=1e-4)
    return ratio[:, :, 0, 0]


def trained(axes: str) -> Any:
    layer = SqueezeExcite3D(4, axes)
    layer.build(SHAPE)
    layer.reduce.kernel.assign(np.abs(layer.reduce.kernel))  # else all units of the bottleneck may be off
    layer.expand.kernel.assign(RNG.normal(size=tuple(layer.expand.kernel.shape)))
    return layer


def test_squeeze_excite_on_channels_gates_all_times_alike() -> None:
    values = gates(trained("channel"), RNG.uniform(0.5, 2, SHAPE).astype(np.float32))
    np.testing.assert_allclose(values, np.broadcast_to(values[:, :1], values.shape), rtol=1e-4)
    assert values.std(axis=-1).min() > 0.01
    assert values.min() >= 0
    assert values.max() <= 2.001


def test_squeeze_excite_on_channels_and_time_gates_times_differently() -> None:
    values = gates(trained("channel_time"), RNG.uniform(0.5, 2, SHAPE).astype(np.float32))
    assert values.std(axis=1).max() > 0.001
    assert values.std(axis=-1).min() > 0.01


def test_squeeze_excite_with_unknown_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="space"):
        SqueezeExcite3D(4, "space")
