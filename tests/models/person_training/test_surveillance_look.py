"""Night, infrared, noise, blur and compression on real pixels."""

from __future__ import annotations

import numpy as np
import pytest

from models.person_training import surveillance_look as look
from models.person_training.surveillance_look import SurveillanceLook
from pipeline.entities import Image


@pytest.fixture
def image() -> Image:
    rows, columns = np.mgrid[0:60, 0:80]
    return np.stack([rows * 4, columns * 3, (rows + columns) % 256], axis=2).astype(np.uint8)


@pytest.mark.parametrize("effect", ["low_light", "infrared", "noise", "blur", "resample", "compression"])
def test_effect_keeps_the_form_and_changes_the_picture(image: Image, effect: str) -> None:
    before = image.copy()
    for seed in range(6):
        spoilt = getattr(look, effect)(image, np.random.default_rng(seed))
        assert (spoilt.shape, spoilt.dtype) == (image.shape, np.uint8)
        assert (spoilt != image).any()
    np.testing.assert_array_equal(image, before)


def test_low_light_is_darker_and_infrared_is_grey(image: Image) -> None:
    assert look.low_light(image, np.random.default_rng(1)).mean() < 0.8 * image.mean()
    grey = look.infrared(image, np.random.default_rng(1))
    assert (grey == grey[..., :1]).all()


def test_same_seed_same_picture_and_probability_zero_changes_nothing(image: Image) -> None:
    always = SurveillanceLook(1, 1, 1, 1, 1, 1)
    first, again = (always(image, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    never = SurveillanceLook(0, 0, 0, 0, 0, 0)
    np.testing.assert_array_equal(never(image, np.random.default_rng(5)), image)
