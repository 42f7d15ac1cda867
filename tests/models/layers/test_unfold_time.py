from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import FoldTime, UnfoldTime
from tests.models.check_layer import RNG, check_layer


def test_unfold_time_passes_the_layer_check() -> None:
    check_layer(UnfoldTime(4), (8, 5), (2, 4, 5), weight_count=0)


def test_unfold_time_undoes_fold_time() -> None:
    clips = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(UnfoldTime(3)(FoldTime()(clips))), clips)
    assert UnfoldTime(3)(keras.Input((5,))).shape == (None, 3, 5)


def test_unfold_time_needs_frames() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        UnfoldTime(0)
