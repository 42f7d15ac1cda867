"""The whole check of a network for I3D and its gated kinds."""

from __future__ import annotations

from functools import partial

import pytest

from models.networks.registry import build
from tests.models.check_network import OverfitPlan, check_network

CLIP = (9, 32, 32, 3)


@pytest.mark.parametrize(
    ("name", "parameters"), [pytest.param("i3d", 12_302_744, marks=pytest.mark.exhaustive), ("se_i3d_time", 13_257_119)]
)
def test_i3d_passes_the_check_of_networks(name: str, parameters: int) -> None:
    check_network(
        partial(build, name, 8, CLIP, dropout=0.0),
        clip_shape=CLIP,
        num_classes=8,
        parameters=parameters,
        overfit=OverfitPlan(steps=20),
    )
