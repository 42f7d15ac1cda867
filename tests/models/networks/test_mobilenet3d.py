from __future__ import annotations

import keras
import pytest

from models.networks import registry
from models.networks.mobilenet3d import ENDPOINTS, LARGE, SMALL, Size, rounded
from tests.models.check_network import OverfitPlan, check_network
from tests.models.networks_by_hand import mobilenet

TINY = (4, 32, 32, 3)


@pytest.mark.parametrize(("size", "published"), [("large", 5_483_032), ("small", 2_542_856)])
def test_mobilenet3d_formula_flat_in_time_gives_the_published_numbers(size: str, published: int) -> None:
    """torchvision's mobilenet_v3_large and _small, 1000 classes: trained parameters, two a channel of normalisation."""
    assert mobilenet(size, 1.0, 1, 1000, norm=2) == published


@pytest.mark.parametrize(("size", "width", "expected"), [("large", 1.0, 4_922_912), ("small", 0.5, 674_968)])
def test_mobilenet3d_has_the_parameters_of_the_formula(size: str, width: float, expected: int) -> None:
    model = registry.build("mobilenet_v3_3d", 400, size=size, width=width)
    assert model.count_params() == mobilenet(size, width, 3, 400) == expected
    assert [model.get_layer(name).name for name in ENDPOINTS[Size(size)]] == list(ENDPOINTS[Size(size)])
    # 16 frames at 112² end as one step of 4×4.
    assert model.get_layer("Conv_2").output.shape[1:4] == (1, 4, 4)


def test_mobilenet3d_tables_are_the_papers_size() -> None:
    assert (len(LARGE), len(SMALL)) == (15, 11)
    assert sum(stage.stride == 2 for stage in LARGE) == sum(stage.stride == 2 for stage in SMALL) == 4


def test_mobilenet3d_passes_the_network_check() -> None:
    options = {"size": "small", "width": 0.25, "dropout": 0.0}
    check_network(
        lambda: registry.build("mobilenet_v3_3d", 4, TINY, **options),
        clip_shape=TINY,
        num_classes=4,
        parameters=mobilenet("small", 0.25, 3, 4),
        overfit=OverfitPlan(steps=12, learning_rate=1e-3, look_every=2, eager=True),
    )


@pytest.mark.parametrize(("channels", "expected"), [(1, 8), (12, 16), (16 * 0.35, 8), (24 * 0.5, 16), (40 * 0.75, 32)])
def test_mobilenet3d_widths_are_multiples_of_eight_and_lose_a_tenth_at_most(channels: float, expected: int) -> None:
    assert rounded(channels) == expected
    assert expected % 8 == 0
    assert expected >= 0.9 * channels


def test_mobilenet3d_with_impossible_options_is_refused() -> None:
    for options, message in (
        ({"size": "huge"}, "huge"),
        ({"width": 0}, "width must be more than 0, got 0"),
        ({"time_kernel": 2}, "time_kernel must be odd"),
    ):
        with pytest.raises(ValueError, match=message):
            registry.build("mobilenet_v3_3d", 4, TINY, **options)
    with pytest.raises(ValueError, match="clip of at least 1, got 0 and"):
        registry.build("mobilenet_v3_3d", 0, TINY)


def test_mobilenet3d_with_bfloat16_policy_keeps_float32_logits() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = registry.build("mobilenet_v3_3d", 4, TINY, size="small", width=0.25)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert model.get_layer("Conv_2").compute_dtype == "bfloat16"
