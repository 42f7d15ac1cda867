from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import CausalSqueezeExcite
from tests.models.check_layer import RNG, check_layer

SHAPE = (2, 5, 3, 2, 4)


@pytest.mark.parametrize("own_frame", [False, True])
def test_causal_squeeze_excite_passes_the_layer_check(own_frame: bool) -> None:
    check_layer(CausalSqueezeExcite(3, own_frame), SHAPE, SHAPE, weight_count=4)


@pytest.mark.parametrize("own_frame", [False, True])
def test_causal_squeeze_excite_looks_back_and_never_ahead(own_frame: bool) -> None:
    layer = CausalSqueezeExcite(8, own_frame)
    x = RNG.uniform(0.5, 2, SHAPE).astype(np.float32)
    before = keras.ops.convert_to_numpy(layer(x))
    changed = x.copy()
    changed[:, 2] += 1
    after = keras.ops.convert_to_numpy(layer(changed))
    np.testing.assert_array_equal(after[:, :2], before[:, :2])
    assert (np.abs(after[:, 3:] - before[:, 3:]).max((2, 3, 4)) > 1e-4).all()


@pytest.mark.parametrize("own_frame", [False, True])
def test_causal_squeeze_excite_of_a_cut_clip_is_that_of_the_whole(own_frame: bool) -> None:
    layer = CausalSqueezeExcite(3, own_frame)
    x = RNG.normal(size=SHAPE).astype(np.float32)
    expected = keras.ops.convert_to_numpy(layer(x))
    none = np.zeros(2, np.int32)
    first, mean = layer.stream(x[:, :2], np.zeros((2, 4), np.float32), none)
    second, _ = layer.stream(x[:, 2:], mean, none + 2)
    np.testing.assert_allclose(keras.ops.concatenate([first, second], axis=1), expected, atol=1e-5)


def test_causal_squeeze_excite_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden must be at least 1, got 0"):
        CausalSqueezeExcite(0)
