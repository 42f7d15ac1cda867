from __future__ import annotations

from typing import Any

import keras
import numpy as np

from models.layers import FrameVotes
from tests.models.check_layer import RNG, check_layer

X = RNG.normal(size=(2, 5, 3)).astype(np.float32)


def chances(logits: Any) -> Any:
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def test_frame_votes_passes_the_layer_check() -> None:
    check_layer(FrameVotes(), (2, 5, 3), (2, 3), weight_count=0)


def test_softmax_of_the_votes_is_the_mean_probability_of_the_frames_that_are_there() -> None:
    np.testing.assert_allclose(chances(FrameVotes()(X)), chances(X).mean(axis=1), atol=1e-6)
    mask = np.array([[True, True, False, False, False], [False] * 5])
    found = chances(FrameVotes()(X, mask=mask))
    np.testing.assert_allclose(found[0], chances(X)[0, :2].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[1], [1 / 3] * 3, atol=1e-6)
