from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import Recolour
from tests.models.check_layer import check_layer

SHAPE = (2, 4, 4, 3)


def test_recolour_passes_the_layer_check() -> None:
    check_layer(Recolour((1.0, 2.0, 3.0), (0.5, 0.0, -1.0), (2, 0, 1)), SHAPE, SHAPE, weight_count=0)


def test_recolour_reorders_then_scales_then_shifts() -> None:
    picture = np.array([1.0, 10.0, 100.0], np.float32).reshape(1, 1, 1, 3)
    found = Recolour((1.0, 2.0, 3.0), (0.5, 0.0, -1.0), (2, 0, 1))(picture)
    assert keras.ops.convert_to_numpy(found).ravel().tolist() == [100.5, 2.0, 29.0]


@pytest.mark.parametrize(("scale", "order"), [((1.0, 1.0), (0, 1, 2)), ((1.0, 1.0, 1.0), (0, 0, 2))])
def test_recolour_is_about_three_channels(scale: tuple[float, ...], order: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="3 scales, 3 offsets and an order"):
        Recolour(scale, (0.0, 0.0, 0.0), order)
