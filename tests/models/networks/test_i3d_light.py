from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from models.layers import Inception3D, Unit3D
from models.networks.complexity import complexity
from models.networks.i3d import I3DConfig, build_i3d
from models.networks.i3d_light import LAST, RANKS, light_config, make_i3d_light
from models.networks.registry import NETWORKS
from models.weights.start import Start, copy_weights
from tests.models.conftest import randomise

SMALL = (32, 32)
LABELS = ("a", "b", "c")
SHAPE = NETWORKS["i3d_light"].clip_shape


def test_light_i3d_is_the_published_one_up_to_its_last_block() -> None:
    model = make_i3d_light(3, SHAPE)
    names = [layer.name for layer in model.layers]
    assert LAST in names and "Mixed_4d" not in names
    assert model.get_layer(LAST).output.shape[1:] == (None, 6, 6, 512)
    assert model.output_shape == (None, 3)
    split = {layer.name for layer in model.layers if isinstance(layer, Unit3D) and layer.rank}
    split |= {layer.name for layer in model.layers if isinstance(layer, Inception3D) and any(layer.ranks)}
    assert split == set(RANKS)


def test_light_i3d_is_a_fraction_of_se_i3d_in_size_and_multiply_adds() -> None:
    """Positions times products each, by hand from the table of stages at 16×96²; se_i3d takes 111 GMACs at 64×224²."""
    stem = 16 * 48 * 48 * (147 * 24) + 8 * 48 * 48 * (24 * 7 * 64)
    second = 8 * 24 * 24 * (64 * 64 + 64 * 9 * 112 + 112 * 3 * 192)
    third = 8 * 12 * 12 * (192 * (64 + 96 + 16 + 32) + 96 * 9 * 112 + 112 * 3 * 128 + 16 * 27 * 32)
    third += 8 * 12 * 12 * (256 * (128 + 128 + 32 + 64) + 128 * 9 * 160 + 160 * 3 * 192 + 32 * 27 * 96)
    fourth = 4 * 6 * 6 * (480 * (192 + 96 + 16 + 64) + 96 * 27 * 208 + 16 * 27 * 48)
    fourth += 4 * 6 * 6 * (512 * (160 + 112 + 24 + 64) + 112 * 27 * 224 + 24 * 27 * 64)
    light = complexity(make_i3d_light(4, SHAPE), SHAPE)
    assert light.multiply_adds == stem + second + third + fourth + 3 * 512 * 4
    assert light.parameters < 3_000_000  # 6 MB in half precision


def test_light_i3d_at_full_ranks_computes_what_the_published_kernels_do() -> None:
    """Every rank as large as its matrix allows: the split network is the whole one, cut short."""
    options: dict[str, Any] = {"num_classes": 3, "frames": 9, "size_hw": SMALL, "last": "Mixed_3c"}
    whole = build_i3d(I3DConfig(**options))
    randomise(whole)
    start = Start({weight.path: keras.ops.convert_to_numpy(weight) for weight in whole.weights}, LABELS)
    ranks = {"Conv3d_1a_7x7": (147,), "Conv3d_2c_3x3": (576,), "Mixed_3b": (384, 96), "Mixed_3c": (576, 288)}
    split = build_i3d(I3DConfig(**options, ranks=ranks))
    copy_weights(split, start, keep_head=False)
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 9, *SMALL, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(whole(clip))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(keras.ops.convert_to_numpy(split(clip)), expected, rtol=2e-3, atol=2e-3)


def test_light_i3d_takes_other_lengths_and_sizes_but_not_too_few_frames() -> None:
    assert make_i3d_light(2, (12, 64, 48, 3)).input_shape == (None, None, 64, 48, 3)
    with pytest.raises(ValueError, match="at least 9 frames, got 8"):
        make_i3d_light(2, (8, 64, 64, 3))


def test_ranks_or_an_end_at_a_stage_that_is_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="no stage is called Mixed_9z"):
        light_config(2, ranks={"Mixed_9z": (1, 1)})
    with pytest.raises(ValueError, match="no stage is called Logits"):
        light_config(2, last="Logits")
