from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import FrameAttention
from tests.models.check_layer import RNG, check_layer

SHAPE = (2, 5, 12)


def attend(layer: FrameAttention, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(layer(x, mask=mask)))


def test_frame_attention_passes_the_layer_check() -> None:
    check_layer(FrameAttention(2, 4), SHAPE, SHAPE, weight_count=9)


def test_frame_attention_sees_other_frames_but_no_padding() -> None:
    layer = FrameAttention(3, 4)
    x = RNG.normal(size=SHAPE).astype(np.float32)
    other = x.copy()
    other[:, 3:] = RNG.normal(size=(2, 2, 12))
    mask = np.array([[True, True, True, False, False]] * 2)
    whole, short = attend(layer, x), attend(layer, x[:, :3])
    assert np.abs(whole - attend(layer, other))[:, :3].max() > 1e-3
    np.testing.assert_allclose(attend(layer, x, mask)[:, :3], short, atol=1e-6)
    np.testing.assert_allclose(attend(layer, other, mask)[:, :3], short, atol=1e-6)
    assert np.isfinite(attend(layer, x, np.zeros((2, 5), bool))).all()


def test_frame_attention_does_not_know_the_order() -> None:
    layer = FrameAttention(3, 4)
    x = RNG.normal(size=SHAPE).astype(np.float32)
    np.testing.assert_allclose(attend(layer, x[:, ::-1]), attend(layer, x)[:, ::-1], atol=1e-5)


def test_frame_attention_needs_heads() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0 and 64"):
        FrameAttention(0)
