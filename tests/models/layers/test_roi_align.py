from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from models.layers import RoiAlign

FEATURES = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)  # cell (row i, column j) holds 4i + j


def cut(layer: Any, features: NDArray[np.float32], *boxes: tuple[float, float, float, float]) -> NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(layer(features, np.array(boxes, np.float32))))


def test_roi_align_of_the_whole_map_in_one_bin_a_cell_is_the_map() -> None:
    features = np.random.default_rng(2).normal(size=(1, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(cut(RoiAlign(4, samples=1), features, (0, 0, 1, 1)), features, atol=1e-6)


def test_roi_align_of_a_box_between_cells_is_what_bilinear_interpolation_says() -> None:
    """Rows 1/3 … 1 and columns 1/4 … 3/4: samples at rows 1 and 2, columns 1 and 2, which are cells."""
    found = cut(RoiAlign(2, samples=1), FEATURES, (0.25, 1 / 3, 0.75, 1.0))
    np.testing.assert_allclose(found[0, ..., 0], [[5, 6], [9, 10]], atol=1e-5)
    # Moved by half a cell each way: rows 0.5 and 1.5, columns 1.5 and 2.5.
    found = cut(RoiAlign(2, samples=1), FEATURES, (0.375, 1 / 6, 0.875, 5 / 6))
    np.testing.assert_allclose(found[0, ..., 0], [[3.5, 4.5], [7.5, 8.5]], atol=1e-5)


def test_roi_align_averages_its_samples_and_holds_them_within_the_map() -> None:
    """One bin over everything, two samples a side: rows 0.25 and 1.75, columns 0.5 and 2.5, of a map that is linear."""
    assert cut(RoiAlign(1, samples=2), FEATURES, (0, 0, 1, 1))[0, 0, 0, 0] == pytest.approx(4 * 1.0 + 1.5)
    # A corner of half a cell: its one sample lies at row and column -0.25, held at cell (0, 0).
    assert cut(RoiAlign(1, samples=1), FEATURES, (0, 0, 1 / 8, 1 / 6))[0, 0, 0, 0] == 0
    assert cut(RoiAlign(1, samples=1), FEATURES, (7 / 8, 5 / 6, 1, 1))[0, 0, 0, 0] == pytest.approx(11)


def test_roi_align_of_a_box_without_area_is_the_feature_there() -> None:
    found = cut(RoiAlign(3), FEATURES, (0.5, 0.5, 0.5, 0.5))
    np.testing.assert_allclose(found, 5.5, atol=1e-5)  # row 1, column 1.5


def test_roi_align_cuts_several_boxes_out_of_one_map() -> None:
    boxes = ((0.1, 0.2, 0.5, 0.9), (0.0, 0.0, 0.3, 0.3), (0.4, 0.1, 1.0, 0.6))
    together = cut(RoiAlign(7), FEATURES, *boxes)
    assert together.shape == (3, 7, 7, 1)
    for box, found in zip(boxes, together, strict=True):
        np.testing.assert_allclose(cut(RoiAlign(7), FEATURES, box)[0], found, atol=1e-6)


def test_roi_align_with_a_map_a_box_cuts_each_out_of_its_own() -> None:
    maps = np.concatenate([FEATURES, 10 * FEATURES])
    found = cut(RoiAlign(2), maps, (0.1, 0.2, 0.5, 0.9), (0.1, 0.2, 0.5, 0.9))
    np.testing.assert_allclose(found[1], 10 * found[0], rtol=1e-5)


def test_roi_align_is_saved_with_its_options_and_keeps_coordinates_whole_in_half_precision() -> None:
    layer = RoiAlign(5, samples=3, name="cut")
    layer.build((None, 3, 4, 1), (None, 4))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert layer.compute_output_shape((2, 3, 4, 8), (6, 4)) == (6, 5, 5, 8)
    half = RoiAlign.from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    box = (0.5012, 0.2, 0.5019, 0.8)  # in bfloat16 both sides would be 0.5, half way up the step
    features = np.zeros((1, 3, 400, 1), np.float32)
    features[:, :, 200:] = 100
    expected = cut(RoiAlign.from_config({**layer.get_config(), "name": "wide"}), features, box)
    assert expected.min() > 90
    assert keras.backend.standardize_dtype(half(features, np.array([box], np.float32)).dtype) == "bfloat16"
    found = cut(half, features, box).astype(np.float32)
    np.testing.assert_allclose(found, expected, rtol=2**-5)  # some processors round at every step


@pytest.mark.parametrize(("size", "samples"), [(0, 2), (7, 0)])
def test_roi_align_refuses_senseless_sizes(size: int, samples: int) -> None:
    with pytest.raises(ValueError, match=f"got {size} and {samples}"):
        RoiAlign(size, samples)


def test_roi_align_needs_a_map_of_known_size() -> None:
    with pytest.raises(ValueError, match="expected"):
        RoiAlign().build((None, None, 4, 8), (None, 4))
