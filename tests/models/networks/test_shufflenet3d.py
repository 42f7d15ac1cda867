from __future__ import annotations

import pytest

from models.networks import registry
from models.networks.shufflenet3d import CHANNELS, ENDPOINTS
from tests.models.check_network import OverfitPlan, check_network
from tests.models.networks_by_hand import shufflenet

TINY = (4, 32, 32, 3)


@pytest.mark.parametrize(
    ("width", "published", "ours"),
    [
        (0.5, 1_366_792, 779_616),
        (1.0, 2_278_604, 1_725_360),
        (1.5, 3_503_624, 2_980_320),
        (2.0, 7_393_996, 6_292_272),
    ],
)
def test_shufflenet3d_formula_gives_the_published_numbers(width: float, published: int, ours: int) -> None:
    """torchvision's shufflenet_v2_x0_5 … x2_0, 1000 classes: trained parameters, two a channel of normalisation."""
    assert shufflenet(width, 1, 1000, norm=2) == published
    assert shufflenet(width, 3, 400) == ours


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_shufflenet3d_has_the_parameters_of_the_formula(width: float) -> None:
    model = registry.build("shufflenet_v2_3d", 400, width=width)
    assert model.count_params() == shufflenet(width, 3, 400)
    assert [model.get_layer(name).name for name in ENDPOINTS] == list(ENDPOINTS)
    # 16 frames at 112² end as one step of 4×4.
    assert model.get_layer("Conv5").output.shape[1:] == (1, 4, 4, CHANNELS[width][-1])


def test_shufflenet3d_passes_the_network_check() -> None:
    check_network(
        lambda: registry.build("shufflenet_v2_3d", 4, TINY, width=0.5, dropout=0.0),
        clip_shape=TINY,
        num_classes=4,
        parameters=shufflenet(0.5, 3, 4),
        overfit=OverfitPlan(steps=30, learning_rate=1e-3, look_every=3, eager=True),
    )


def test_shufflenet3d_with_impossible_options_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width must be one of 0.5, 1.0, 1.5, 2.0, got 0.75"):
        registry.build("shufflenet_v2_3d", 4, TINY, width=0.75)
    with pytest.raises(ValueError, match="time_kernel must be odd"):
        registry.build("shufflenet_v2_3d", 4, TINY, time_kernel=4)
    with pytest.raises(ValueError, match="clip of at least 1, got 0 and"):
        registry.build("shufflenet_v2_3d", 0, TINY)
