"""What is pixelated cannot be read, and nothing beside it changes."""

from __future__ import annotations

import numpy as np
import pytest

from service.exports.pixelate import LEAST_PX, pixelate, pixelate_whole

NOISE = np.random.default_rng(7).integers(0, 256, (240, 320, 3), np.uint8)


def colours(image: np.ndarray) -> int:
    """How many different squares there are."""
    return len(np.unique(image.reshape(-1, 3), axis=0))


def test_box_holds_few_colours_and_the_rest_is_as_it_was():
    hidden = pixelate(NOISE, [(0.25, 0.25, 0.5, 0.75)])
    inside = hidden[60:180, 80:160]
    assert colours(inside) <= 8 * 6 < colours(NOISE[60:180, 80:160]) / 50
    outside = np.ones((240, 320), bool)
    outside[60:180, 80:160] = False
    assert np.array_equal(hidden[outside], NOISE[outside])
    assert not np.array_equal(inside, NOISE[60:180, 80:160]), "the picture that was given is left as it was"


@pytest.mark.parametrize(
    "box", [(-0.5, -0.5, 0.1, 0.1), (0.9, 0.9, 1.5, 1.5), (0.2, 0.2, 0.2, 0.2), (1.2, 0.0, 1.5, 1.0), (0, 0, 1, 1)]
)
def test_boxes_over_the_border_and_without_area_do_no_harm(box: tuple[float, float, float, float]):
    assert pixelate(NOISE, [box]).shape == NOISE.shape


def test_small_box_becomes_one_colour():
    hidden = pixelate(NOISE, [(0.0, 0.0, 0.03, 0.04)])
    assert colours(hidden[: LEAST_PX - 4, : LEAST_PX - 4]) == 1


def test_whole_picture_is_hidden():
    assert colours(pixelate_whole(NOISE)) <= 16 * 12
