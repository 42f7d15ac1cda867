from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import MovinetBlock
from tests.models.check_layer import RNG, check_layer

SHAPE = (2, 4, 6, 5, 8)


def test_movinet_block_that_halves_passes_the_layer_check() -> None:
    # Four units of five arrays (the input's projection is one), the time's five, the gate's four.
    layer = MovinetBlock(6, 16, (3, 3, 3), 2)
    check_layer(layer, SHAPE, (2, 4, 3, 3, 6), weight_count=4 * 5 + 5 + 4)


def test_movinet_block_of_one_frame_s_reach_passes_the_layer_check() -> None:
    check_layer(MovinetBlock(8, 16, (1, 5, 5)), SHAPE, SHAPE, weight_count=3 * 5 + 4)


@pytest.mark.parametrize("stride", [1, 2])
def test_movinet_block_of_a_cut_clip_is_that_of_the_whole(stride: int) -> None:
    layer = MovinetBlock(8, 16, (5, 3, 3), stride)
    x = RNG.normal(size=SHAPE).astype(np.float32)
    expected = keras.ops.convert_to_numpy(layer(x))
    shapes = layer.state_shapes(SHAPE)
    assert shapes == {"mean": (16,), "past": (4, -(-6 // stride), -(-5 // stride), 16)}
    state = {name: np.zeros((2, *shape), np.float32) for name, shape in shapes.items()}
    parts = []
    for start, end in ((0, 1), (1, 4)):
        part, state = layer.stream(x[:, start:end], state, np.full(2, start, np.int32))
        parts.append(part)
    np.testing.assert_allclose(keras.ops.concatenate(parts, axis=1), expected, atol=1e-5)
    assert {name: tuple(value.shape[1:]) for name, value in state.items()} == shapes
