from __future__ import annotations

import keras
import numpy as np
import pytest

from models.layers import GateAxes, SqueezeExcite3D
from models.networks.i3d import ENDPOINTS, STAGES, I3DConfig, StageKind, build_i3d, features
from tests.models.conftest import randomise

SMALL = (64, 64)
DEPTHS = ("Mixed_4c", "Mixed_4f", "Mixed_5c")
RNG = np.random.default_rng(5)


def test_i3d_endpoints_are_the_published_ones() -> None:
    assert ENDPOINTS == (
        "Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "Conv3d_2b_1x1", "Conv3d_2c_3x3", "MaxPool3d_3a_3x3",
        "Mixed_3b", "Mixed_3c", "MaxPool3d_4a_3x3", "Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f",
        "MaxPool3d_5a_2x2", "Mixed_5b", "Mixed_5c", "Logits", "Predictions",
    )  # fmt: skip


def test_i3d_has_the_published_number_of_parameters() -> None:
    model = build_i3d(I3DConfig(gate=None))
    assert model.count_params() == 12_704_544  # with moving means and variances: "12.7 M"
    assert model.input_shape == (None, None, 224, 224, 3)


def test_i3d_feature_sizes_at_64_frames_are_the_published_ones() -> None:
    model = build_i3d(I3DConfig(frames=64), "Mixed_5c")
    shapes = {stage.endpoint: model.get_layer(stage.endpoint).output.shape[1:] for stage in STAGES}
    assert shapes["Conv3d_1a_7x7"] == (32, 112, 112, 64)
    assert shapes["MaxPool3d_3a_3x3"] == (32, 28, 28, 192)
    assert shapes["Mixed_3c"] == (32, 28, 28, 480)
    assert shapes["Mixed_4f"] == (16, 14, 14, 832)
    assert shapes["Mixed_5c"] == (8, 7, 7, 1024)


def test_se_i3d_has_a_gate_after_each_mixed_block() -> None:
    model = build_i3d(I3DConfig(gate=GateAxes.CHANNEL_TIME))
    gated = [layer.name for layer in model.layers if isinstance(layer, SqueezeExcite3D)]
    assert gated == [f"{stage.endpoint}_se" for stage in STAGES if stage.kind is StageKind.MIXED]
    assert {model.get_layer(name).axes for name in gated} == {GateAxes.CHANNEL_TIME}


@pytest.mark.parametrize("gate", list(GateAxes))
def test_se_i3d_with_i3d_weights_gives_the_same_outputs(gate: GateAxes) -> None:
    plain = build_i3d(I3DConfig(num_classes=5, size_hw=SMALL, gate=None))
    randomise(plain)
    gated = build_i3d(I3DConfig(num_classes=5, size_hw=SMALL, gate=gate))
    by_path = {weight.path: weight for weight in plain.weights}
    for weight in gated.weights:
        if weight.path in by_path:
            weight.assign(by_path[weight.path])
    clip = RNG.uniform(-1, 1, (1, 16, *SMALL, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(plain(clip))
    assert np.ptp(expected) > 0.1
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(gated(clip)), expected)


@pytest.mark.parametrize("frames", [9, 16, 31])
def test_i3d_with_open_length_takes_clips_of_any_length(frames: int) -> None:
    model = build_i3d(I3DConfig(num_classes=5, size_hw=(32, 48)), "Predictions")
    probabilities = keras.ops.convert_to_numpy(model(np.zeros((2, frames, 32, 48, 3), np.float32)))
    assert probabilities.shape == (2, 5)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)


def test_i3d_features_are_taken_after_the_gate() -> None:
    model = build_i3d(I3DConfig(num_classes=5, size_hw=SMALL))
    randomise(model)
    clip = RNG.uniform(-1, 1, (1, 16, *SMALL, 3)).astype(np.float32)
    cut = keras.ops.convert_to_numpy(features(model, "Mixed_4b")(clip))
    before = keras.Model(model.input, model.get_layer("Mixed_4b").output)(clip)
    np.testing.assert_allclose(cut, keras.ops.convert_to_numpy(model.get_layer("Mixed_4b_se")(before)), rtol=1e-5)
    assert np.abs(cut - keras.ops.convert_to_numpy(before)).max() > 1e-3


def test_i3d_with_unknown_endpoint_is_refused() -> None:
    with pytest.raises(ValueError, match="Mixed_9z"):
        build_i3d(I3DConfig(), "Mixed_9z")
    with pytest.raises(ValueError, match="frames must be at least 9, got 8"):
        I3DConfig(frames=8)
    with pytest.raises(ValueError, match="channels >= 1 and hidden >= 0, got 2 and -1"):
        I3DConfig(channels=2, hidden=-1)


def test_output_reads_the_means_of_several_depths_side_by_side() -> None:
    model = build_i3d(I3DConfig(num_classes=5, size_hw=SMALL, depths=DEPTHS))
    randomise(model)
    clip = RNG.uniform(-1, 1, (2, 16, *SMALL, 3)).astype(np.float32)
    ends = [keras.ops.convert_to_numpy(features(model, depth)(clip)) for depth in DEPTHS]
    means = np.concatenate([end.mean(axis=(1, 2, 3)) for end in ends], axis=-1)
    assert means.shape == (2, 512 + 832 + 1024)
    np.testing.assert_allclose(features(model, "AvgPool3d")(clip)[:, 0, 0, 0], means, rtol=1e-4, atol=1e-4)
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in model.get_layer("Logits_Conv3d_0c_1x1").weights)
    logits = keras.ops.convert_to_numpy(model(clip))
    assert np.ptp(logits) > 0.1
    np.testing.assert_allclose(logits, means @ kernel[0, 0, 0] + bias, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "depths", [("Mixed_5c", "Mixed_4f"), ("Mixed_4f",), ("MaxPool3d_5a_2x2", "Mixed_5c"), ("Mixed_5c", "Mixed_5c")]
)
def test_depths_that_are_no_blocks_or_not_in_order_are_refused(depths: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="each once and in this order, and end with Mixed_5c; got"):
        I3DConfig(depths=depths)
