"""SlowFast: the paper's figures, its two rates of frames, and the check of all networks."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import pytest

from models.networks.complexity import complexity
from models.networks.slowfast import ENDPOINTS, SlowFastConfig, build_slowfast, make_slowfast
from tests.models.check_network import OverfitPlan, check_network

CLIP = (8, 32, 32, 3)


def test_slowfast_8x8_costs_what_the_paper_says() -> None:
    model = make_slowfast(400, (64, 256, 256, 3))
    cost = complexity(model)
    assert cost.parameters == 34_540_904  # with the moving statistics, which the paper's 34.5 M leave out
    assert cost.parameters == pytest.approx(34.5e6, rel=0.02)
    assert cost.gmacs == pytest.approx(65.7, rel=0.02)


@pytest.mark.parametrize(("options", "gmacs"), [({"alpha": 8}, 36.1), ({"lateral_reach": 7}, 65.7)])
def test_slowfast_as_published_costs_exactly_the_published_multiply_adds(options: Any, gmacs: float) -> None:
    """4×16 with the paper's lateral kernel; 8×8 with that of the published configuration."""
    assert round(complexity(make_slowfast(400, (64, 256, 256, 3), **options)).gmacs, 1) == gmacs


def test_slowfast_feature_sizes_are_those_of_table_1() -> None:
    model = make_slowfast(400, (64, 224, 224, 3), alpha=8)
    shapes = {name: model.get_layer(name).output.shape[1:] for name in ENDPOINTS[:-1]}
    assert shapes["slow_pool1"] == (4, 56, 56, 64)
    assert shapes["fast_pool1"] == (32, 56, 56, 8)
    assert model.get_layer("joined_pool1").output.shape[1:] == (4, 56, 56, 64 + 16)
    assert shapes["slow_res2"] == (4, 56, 56, 256)
    assert shapes["fast_res3"] == (32, 28, 28, 64)
    assert model.get_layer("joined_res4").output.shape[1:] == (4, 14, 14, 1024 + 256)
    assert shapes["slow_res5"] == (4, 7, 7, 2048)
    assert shapes["fast_res5"] == (32, 7, 7, 256)
    assert "joined_res5" not in {layer.name for layer in model.layers}


@pytest.mark.exhaustive
def test_slowfast_passes_the_check_of_networks() -> None:
    check_network(
        partial(make_slowfast, 8, CLIP, dropout=0.0),
        clip_shape=CLIP,
        num_classes=8,
        parameters=33_637_344,
        overfit=OverfitPlan(steps=30),
    )


@pytest.mark.parametrize(("frames", "fast"), [(64, 32), (32, 32), (16, 16)])
def test_slowfast_samples_a_clip_of_any_usual_length(frames: int, fast: int) -> None:
    assert SlowFastConfig(frames=frames).fast == fast


def test_slowfast_slow_pathway_sees_every_eighth_frame_only() -> None:
    model = build_slowfast(SlowFastConfig(3, frames=16, size_hw=(32, 32), fast_frames=8), "Predictions")
    assert model.get_layer("fast_frames").output.shape[1:] == (8, 32, 32, 3)
    slow = keras.Model(model.input, model.get_layer("slow_frames").output)
    clip = np.random.default_rng(2).uniform(-1, 1, (1, 16, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(slow(clip)), clip[:, ::8])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(clip)).sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 40}, "got 40 frames, fast_frames 32, alpha 4"),
        ({"frames": 32, "fast_frames": 6}, "got 32 frames, fast_frames 6, alpha 4"),
        ({"alpha": 0}, "alpha 0"),
        ({"beta": 0.1}, "got 0.1 and 5"),
        ({"size_hw": (16, 224)}, "pictures from 32×32 on"),
    ],
)
def test_slowfast_that_cannot_be_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SlowFastConfig(**options)
    with pytest.raises(ValueError, match="res6"):
        build_slowfast(final_endpoint="slow_res6")
