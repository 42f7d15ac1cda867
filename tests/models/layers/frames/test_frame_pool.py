from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from models.layers import FramePool
from tests.models.check_layer import RNG, check_layer

X = RNG.normal(size=(2, 5, 12)).astype(np.float32)
MASK = np.array([[True, True, True, False, False], [False] * 5])


def pooled(how: str, mask: Any = None) -> Any:
    return keras.ops.convert_to_numpy(FramePool(how)(X, mask=mask))


@pytest.mark.parametrize("how", ["mean", "max"])
def test_frame_pool_passes_the_layer_check(how: str) -> None:
    check_layer(FramePool(how), (2, 5, 12), (2, 12), weight_count=0)


def test_frame_pool_without_a_mask_counts_every_frame() -> None:
    np.testing.assert_allclose(pooled("mean"), X.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(pooled("max"), X.max(axis=1), atol=1e-6)


def test_frame_pool_leaves_padding_out_and_gives_zeros_for_nothing_at_all() -> None:
    np.testing.assert_allclose(pooled("mean", MASK)[0], X[0, :3].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(pooled("max", MASK)[0], X[0, :3].max(axis=0), atol=1e-6)
    assert not pooled("mean", MASK)[1].any() and not pooled("max", MASK)[1].any()


def test_frame_pool_knows_two_ways() -> None:
    with pytest.raises(ValueError, match="one of mean, max; got 'median'"):
        FramePool("median")
