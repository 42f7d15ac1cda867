"""What a training starts from: found by name under one root, read, and taken over by networks that it fits."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from models.errors import TrainingError
from models.networks.i3d import I3DConfig, build_i3d
from models.weights.start import Start, copy_in_order, copy_weights, find_weights, read_start
from tests.models.conftest import TINY_LABELS

SIZE = 32


@pytest.fixture(scope="module")
def start(tiny_folder: Path) -> Start:
    return read_start(tiny_folder)


def test_find_weights_takes_a_folder_that_is_there_and_else_a_name_under_the_root(tmp_path: Path) -> None:
    root = tmp_path / "weights"
    (root / "mine").mkdir(parents=True)
    assert find_weights("mine", root) == root / "mine"
    assert find_weights(str(root / "mine"), tmp_path / "elsewhere") == root / "mine"
    assert find_weights("not-there", root) == root / "not-there"


def test_read_start_knows_what_the_card_says(start: Start) -> None:
    assert (start.labels, start.kind) == (TINY_LABELS, "se_i3d")
    assert not any("seed" in path for path in start.weights)


def test_copy_weights_of_a_start_that_lacks_layers_names_them(start: Start) -> None:
    less = {path: value for path, value in start.weights.items() if not path.startswith("Mixed_4c/")}
    with pytest.raises(TrainingError, match="Mixed_4c"):
        copy_weights(build_i3d(I3DConfig(5, size_hw=(SIZE, SIZE))), Start(less, TINY_LABELS), keep_head=False)


def test_copy_in_order_takes_all_weights_or_none() -> None:
    def network(classes: int, width: int = 3) -> keras.Model:
        layers = [keras.Input((4,)), keras.layers.Dense(width), keras.layers.Dense(classes)]
        return keras.Sequential(layers)

    given = network(2)
    start = Start({weight.path: keras.ops.convert_to_numpy(weight) for weight in given.weights}, ("a", "b"))
    same, other = network(2), network(5)
    own = keras.ops.convert_to_numpy(other.layers[-1].kernel)
    copy_in_order(same, start, keep_head=False)
    copy_in_order(other, start, keep_head=True)
    x = np.ones((1, 4), np.float32)
    np.testing.assert_array_equal(same(x), given(x))
    np.testing.assert_array_equal(other.layers[0].kernel, given.layers[0].kernel)
    np.testing.assert_array_equal(other.layers[-1].kernel, own)
    with pytest.raises(TrainingError, match=r"the start weights \(4 arrays\) do not fit the network's 4; "):
        copy_in_order(network(2, width=6), start, keep_head=False)
