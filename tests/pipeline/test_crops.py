from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.crops import PADDING_VALUE, crop_person, square_around


def box(*corners: float) -> np.ndarray:
    return np.array(corners, np.float32)


def gradient(height: int, width: int) -> np.ndarray:
    """Red grows to the right, green downward."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width)[None, :]
    image[..., 1] = np.linspace(0, 255, height)[:, None]
    return image


def test_square_around_tall_box_adds_the_margin_to_the_longer_side() -> None:
    assert square_around(box(100, 50, 140, 150), 0.2) == (60, 40, 120)


def test_square_around_wide_box_keeps_the_centre() -> None:
    left, top, side = square_around(box(10, 100, 110, 120), 0.2) or (0, 0, 0)
    assert side == 120
    assert (left + side / 2, top + side / 2) == (60, 110)


def test_crop_person_inside_the_picture_is_the_resized_square() -> None:
    image = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    crop = crop_person(image, box(100, 80, 120, 104), size=24, margin=0.0)
    assert np.array_equal(crop, image[80:104, 98:122])


def test_crop_person_shrinking_averages_and_does_not_alias() -> None:
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, ::2] = 200
    crop = crop_person(stripes, box(0, 0, 200, 200), size=50, margin=0.0)
    assert crop.min() == crop.max() == 100


def test_crop_person_enlarging_is_smooth() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = 200
    row = crop_person(image, box(0, 0, 20, 20), size=200, margin=0.0)[100, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert len(np.unique(row)) > 5


def test_crop_person_at_the_corner_pads_with_grey_and_keeps_the_person_in_place() -> None:
    image = np.full((100, 100, 3), 250, np.uint8)
    crop = crop_person(image, box(-50, -50, 50, 50), size=100, margin=0.0)
    assert (crop[:50] == PADDING_VALUE).all()
    assert (crop[:, :50] == PADDING_VALUE).all()
    assert (crop[50:, 50:] == 250).all()


def test_crop_person_over_every_border_keeps_the_proportions() -> None:
    crop = crop_person(gradient(50, 100), box(-50, -75, 150, 125), size=224, margin=0.0)
    inside = (crop != PADDING_VALUE).any(axis=2)
    assert inside.any(axis=1).sum() == pytest.approx(224 * 50 / 200, abs=1)
    assert inside.any(axis=0).sum() == pytest.approx(224 * 100 / 200, abs=1)


@pytest.mark.parametrize(
    "corners",
    [
        (10, 10, 10, 50),
        (50, 50, 10, 10),
        (math.nan, 0, 10, 10),
        (0, 0, math.inf, 10),
        (-math.inf, 0, math.inf, 10),
        (500, 500, 600, 600),
        (-90, -90, -20, -20),
    ],
)
def test_crop_person_of_a_useless_box_is_padding(corners: tuple[float, ...]) -> None:
    crop = crop_person(gradient(100, 100), box(*corners))
    assert crop.shape == (224, 224, 3)
    assert (crop == PADDING_VALUE).all()


@pytest.mark.parametrize("reach", [1e7, 1e30])
def test_crop_person_of_a_huge_box_needs_no_huge_memory(reach: float) -> None:
    crop = crop_person(gradient(100, 100), box(-reach, -reach, reach, reach))
    assert (crop != PADDING_VALUE).any(axis=2).sum() == 1


def test_crop_person_never_shares_memory_with_the_picture() -> None:
    image = gradient(100, 100)
    crop = crop_person(image, box(0, 0, 100, 100), size=100, margin=0.0)
    assert not np.shares_memory(crop, image)


@pytest.mark.parametrize("image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((9, 9, 4))])
def test_crop_person_refuses_what_is_no_rgb_picture(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        crop_person(image, box(0, 0, 5, 5))


@pytest.mark.parametrize(("size", "margin"), [(0, 0.2), (224, -0.1)])
def test_crop_person_refuses_senseless_sizes(size: int, margin: float) -> None:
    with pytest.raises(ValueError, match="size >= 1"):
        crop_person(gradient(9, 9), box(0, 0, 5, 5), size=size, margin=margin)


COORDINATE = st.floats(width=32, allow_nan=True, allow_infinity=True)
NEAR = st.floats(-300, 500, width=32)


@given(
    st.tuples(*[COORDINATE] * 4) | st.tuples(*[NEAR] * 4), st.integers(1, 90), st.integers(1, 90), st.integers(1, 64)
)
def test_crop_person_of_any_box_is_a_square(corners: tuple[float, ...], height: int, width: int, size: int) -> None:
    crop = crop_person(gradient(height, width), box(*corners), size=size)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
