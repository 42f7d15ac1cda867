from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.classifier import ActionClassifier
from models.errors import TrainingError
from models.layers import GateAxes
from models.networks.action_transformer import (
    ENDPOINTS,
    TRUNK_ENDPOINTS,
    ActionTransformerConfig,
    Query,
    build_action_transformer,
    load_trunk,
    make_action_transformer,
)
from models.networks.i3d import I3DConfig, build_i3d
from models.networks.registry import build
from models.runtimes.runner import Precision
from models.weights.cards import ModelCard
from models.weights.start import Start, read_start
from tests.models.check_network import OverfitPlan, check_network
from tests.models.conftest import write_folder

CLIP = (9, 32, 32, 3)
SMALL = {"units": 8, "location_units": 4, "roi": 2, "heads": 2, "layers": 2}
RNG = np.random.default_rng(8)


def expected_parameters(classes: int) -> int:
    """The trunk, two perceptrons of the location, the reduction, two layers of two heads, the last layer: SMALL."""
    trunk = build_i3d(I3DConfig(frames=9, size_hw=(32, 32), gate=None), "Mixed_4f").count_params()
    channels, units, hidden, cells = 832 + 2 * 4, 8, 32, 4
    location = (2 * 4 + 4 + 4 * 4 + 4) + (4 + 4 + 4 * 4 + 4)
    reduction = channels * units + units
    memory = 2 * (channels * units + units)
    rest = 2 * 2 * units + units * hidden + hidden + hidden * units + units
    heads = 2 * (cells * units * units + units) + 2 * (2 * units * units + units) + 4 * (memory + rest)
    return int(trunk) + location + reduction + heads + 2 * units * classes + classes


@pytest.mark.exhaustive
def test_action_transformer_passes_the_check_of_networks() -> None:
    check_network(
        partial(build, "action_transformer", 8, CLIP, dropout=0.0, **SMALL),
        clip_shape=CLIP,
        num_classes=8,
        parameters=expected_parameters(8),
        overfit=OverfitPlan(steps=40, learning_rate=2e-3),
    )


def test_action_transformer_of_the_paper_has_three_layers_of_two_heads_on_mixed_4f() -> None:
    model = make_action_transformer(400, (64, 224, 224, 3))
    assert model.count_params() == 11_661_744
    assert model.get_layer("Location").output.shape == (None, 16, 14, 14, 832 + 64)
    assert model.get_layer("Memory").output.shape == (None, 16 * 14 * 14, 896)
    assert model.get_layer("Query").output.shape == (None, 7 * 7 * 128)
    assert model.get_layer("Tx_3").output.shape == (None, 256)
    assert ENDPOINTS[-7:] == ("Location", "Roi", "Query", "Tx_1", "Tx_2", "Tx_3", "Logits")


@pytest.fixture(scope="module")
def small() -> Any:
    keras.utils.set_random_seed(4)
    return make_action_transformer(3, CLIP, **SMALL)


def inputs(people: int = 3) -> tuple[Any, Any]:
    corners = RNG.uniform(0, 0.5, (people, 2))
    boxes = np.concatenate([corners, corners + 0.4], axis=1).astype(np.float32)
    return RNG.uniform(-1, 1, (1, *CLIP)).astype(np.float32), boxes


@pytest.mark.exhaustive
def test_action_transformer_judges_several_people_of_one_clip_as_if_alone(small: Any) -> None:
    clip, boxes = inputs()
    together = keras.ops.convert_to_numpy(small([clip, boxes]))
    alone = [keras.ops.convert_to_numpy(small({"clip": clip, "boxes": box[None]}))[0] for box in boxes]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-4, "the box makes no difference"


@pytest.mark.exhaustive
def test_openvino_judges_several_people_of_one_scene_as_keras_does(small: Any, tmp_path: Path) -> None:
    model, (scenes, boxes) = small, inputs()
    folder = write_folder(tmp_path / "scene", model, ("a", "b", "c"), CLIP[:3], "scene")
    classifier = ActionClassifier.load(folder, "openvino", precision=Precision.F32)
    pixels = np.round((scenes + 1) * 127.5).astype(np.uint8)
    expected = keras.ops.convert_to_numpy(model([pixels / np.float32(127.5) - 1, boxes]))
    np.testing.assert_allclose(classifier.logits(pixels, boxes), expected, atol=1e-4)
    apart = classifier.logits(np.repeat(pixels, 3, axis=0), boxes)
    np.testing.assert_allclose(apart, expected, atol=1e-4)
    with pytest.raises(ValueError, match="got none"):
        classifier.predict(pixels)


def test_action_transformer_sees_what_happens_outside_the_box(small: Any) -> None:
    clip, _ = inputs()
    corner = np.array([[0.0, 0.0, 0.3, 0.3]], np.float32)
    other = clip.copy()
    other[:, :, 24:, 24:] *= -1
    difference = keras.ops.convert_to_numpy(small([clip, corner])) - keras.ops.convert_to_numpy(small([other, corner]))
    assert np.abs(difference).max() > 1e-4


def test_action_transformer_ends_at_any_endpoint(small: Any) -> None:
    shapes = {"Location": (None, 3, 2, 2, 840), "Roi": (None, 2, 2, 840), "Query": (None, 32), "Tx_1": (None, 16)}
    assert {name: small.get_layer(name).output.shape for name in shapes} == shapes
    config = ActionTransformerConfig(3, 9, (32, 32), **SMALL)  # type: ignore[arg-type]  # all of them numbers
    assert build_action_transformer(config, "Mixed_4b").output.shape == (None, 3, 2, 2, 512)
    assert build_action_transformer(config, "Tx_1").output.shape == (None, 16)


def test_action_transformer_with_the_low_resolution_query_means_over_the_box() -> None:
    config = ActionTransformerConfig(3, 9, (32, 32), query=Query.LOW_RES, **SMALL)  # type: ignore[arg-type]
    assert build_action_transformer(config, "Query").output.shape == (None, 840)


def test_action_transformer_refuses_what_it_cannot_be() -> None:
    with pytest.raises(ValueError, match="final_endpoint must be one of Conv3d_1a_7x7"):
        build_action_transformer(ActionTransformerConfig(3, 9, (32, 32)), "Mixed_5c")
    with pytest.raises(ValueError, match="heads must be at least 1, got 0"):
        make_action_transformer(3, CLIP, heads=0)
    with pytest.raises(ValueError, match=r"RGB.*got 2"):
        make_action_transformer(3, (9, 32, 32, 2))
    with pytest.raises(ValueError, match="medium"):
        make_action_transformer(3, CLIP, query="medium")


def test_trunk_with_kinetics_weights_gives_the_features_of_i3d_exactly(kinetics_card: ModelCard) -> None:
    start = read_start(Path(kinetics_card.folder))
    model = make_action_transformer(3, (9, 64, 64, 3), **SMALL)
    load_trunk(model, start.weights)
    i3d = build_i3d(I3DConfig(size_hw=(64, 64), gate=None), "Mixed_4f")
    for weight in i3d.weights:
        weight.assign(start.weights[weight.path])
    clip = RNG.uniform(-1, 1, (1, 9, 64, 64, 3)).astype(np.float32)
    trunk = keras.Model(model.inputs[0], model.get_layer(TRUNK_ENDPOINTS[-1]).output)
    found = keras.ops.convert_to_numpy(trunk(clip))
    np.testing.assert_array_equal(found, keras.ops.convert_to_numpy(i3d(clip)))
    assert found.max() > 0.1


def test_trunk_that_does_not_fit_is_refused(small: Any) -> None:
    gated = build_i3d(I3DConfig(num_classes=3, frames=9, size_hw=(32, 32)), "Mixed_4f")
    start = Start({weight.path: keras.ops.convert_to_numpy(weight).copy() for weight in gated.weights}, ())
    load_trunk(small, start.weights)  # untrained gates are the identity
    start.weights["Mixed_4b_se/expand/kernel"][...] = 1
    with pytest.raises(TrainingError, match="trained gates that the network lacks: Mixed_4b_se"):
        load_trunk(small, start.weights)
    load_trunk(make_action_transformer(3, CLIP, gate=GateAxes.CHANNEL, **SMALL), start.weights)
    partial_start = {
        key: value for key, value in start.weights.items() if not key.startswith(("Mixed_3c/", "Mixed_4b_se"))
    }
    with pytest.raises(TrainingError, match=r"Mixed_3c.*there is nothing"):
        load_trunk(small, partial_start)
