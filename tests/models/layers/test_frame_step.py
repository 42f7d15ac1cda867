from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import FrameStep
from tests.models.check_layer import check_layer


@pytest.mark.parametrize(("step", "frames", "left"), [(1, 4, 4), (2, 8, 4), (3, 8, 3)])
def test_frame_step_shapes(step: int, frames: int, left: int) -> None:
    check_layer(FrameStep(step), (2, frames, 3, 3, 2), (2, left, 3, 3, 2), 0)


def test_frame_step_takes_every_nth_frame_from_the_first_on() -> None:
    clip = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1, 1)
    taken = keras.ops.convert_to_numpy(FrameStep(3)(clip))
    assert taken.ravel().tolist() == [0, 3, 6]


def test_frame_step_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="step must be at least 1, got 0"):
        FrameStep(0)
