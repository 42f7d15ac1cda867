from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import FeedForward
from tests.models.check_layer import RNG, check_layer


def test_feed_forward_passes_the_layer_check() -> None:
    check_layer(FeedForward(7), (2, 5, 12), (2, 5, 12), weight_count=6)


def test_feed_forward_looks_at_each_frame_by_itself() -> None:
    layer = FeedForward(7)
    x = RNG.normal(size=(2, 5, 12)).astype(np.float32)
    whole = keras.ops.convert_to_numpy(layer(x))
    alone = keras.ops.convert_to_numpy(layer(x[:, 3:4]))
    np.testing.assert_allclose(whole[:, 3:4], alone, atol=1e-6)
    assert np.abs(whole - x).max() > 1e-2


def test_feed_forward_needs_a_width() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        FeedForward(0)
