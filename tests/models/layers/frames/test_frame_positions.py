from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import FramePositions
from tests.models.check_layer import check_layer


def test_frame_positions_passes_the_layer_check() -> None:
    check_layer(FramePositions(), (2, 5, 12), (2, 5, 12), weight_count=1)


def test_every_place_gets_its_own_vector_whatever_the_clip_shows() -> None:
    layer = FramePositions()
    added = keras.ops.convert_to_numpy(layer(np.zeros((2, 5, 12), np.float32)))
    np.testing.assert_array_equal(added[0], added[1])
    assert len(np.unique(added[0].round(6), axis=0)) == 5


def test_frame_positions_needs_the_number_of_frames() -> None:
    with pytest.raises(ValueError, match=r"must be known, got input shape \(None, None, 12\)"):
        FramePositions().build((None, None, 12))
