from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import Inception3D
from tests.models.check_layer import check_layer


def test_inception3d_passes_the_layer_check() -> None:
    layer = Inception3D((4, 3, 6, 2, 5, 7))
    check_layer(layer, (2, 3, 4, 4, 8), (2, 3, 4, 4, 22), weight_count=6 * 4)


def test_inception3d_with_split_convolutions_passes_the_layer_check() -> None:
    layer = Inception3D((2, 3, 4, 2, 3, 2), (5, 0))
    check_layer(layer, (2, 3, 5, 4, 6), (2, 3, 5, 4, 11), weight_count=25)
    assert layer.branches[1][1].rank == 5 and layer.branches[2][1].rank == 0


def test_inception3d_joins_branches_in_the_published_order() -> None:
    layer = Inception3D((1, 1, 1, 1, 1, 1))
    layer.build((1, 1, 1, 1, 1))
    for number, branch in enumerate(layer.branches):
        for unit in branch:
            for weight in unit.weights:
                if weight.path.endswith("beta"):
                    weight.assign([float(number + 1)])
    y = keras.ops.convert_to_numpy(layer(np.zeros((1, 1, 1, 1, 1), np.float32)))
    assert y.shape == (1, 1, 1, 1, 4)
    # Branches 1 and 2 add their second unit's response to their first unit's output, so at least their own offset.
    assert y[0, 0, 0, 0, 0] == pytest.approx(1.0)
    assert y[0, 0, 0, 0, 3] == pytest.approx(4.0)


def test_inception3d_with_five_filters_is_refused() -> None:
    with pytest.raises(ValueError, match="six numbers"):
        Inception3D((1, 2, 3, 4, 5))
