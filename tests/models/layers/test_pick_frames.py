from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import PickFrames
from models.layers.pick_frames import picked_frames
from tests.models.check_layer import check_layer


def test_pick_frames_passes_the_layer_check() -> None:
    check_layer(PickFrames(4), (2, 10, 3, 3, 2), (2, 4, 3, 3, 2), weight_count=0)


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(10, 4, [1, 3, 6, 8]), (64, 2, [16, 48]), (5, 5, [0, 1, 2, 3, 4]), (3, 8, [0, 1, 2]), (7, 1, [3])],
)
def test_picked_frames_are_the_middles_of_equal_parts(total: int, count: int, expected: list[int]) -> None:
    assert picked_frames(total, count).tolist() == expected
    clip = np.arange(total, dtype=np.float32).reshape(1, total, 1)
    assert keras.ops.convert_to_numpy(PickFrames(count)(clip)).ravel().tolist() == expected


def test_pick_frames_wants_a_known_length() -> None:
    with pytest.raises(ValueError, match="frames must be known"):
        PickFrames(4)(keras.Input((None, 3)))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        PickFrames(0)
