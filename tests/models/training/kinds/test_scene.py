from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.data.batches.clip_window import WindowConfig
from models.errors import TrainingError
from models.networks.action_transformer import TRUNK_ENDPOINTS
from models.training.config import SCENE_FEATURES, ClipInput, Mode, NetworkConfig, TrainConfig
from models.training.kinds.scene import Scene
from models.training.run.networks import trainable
from models.weights.start import Start, read_start
from tests.models.conftest import randomise

OPTIONS = {"units": 8, "roi": 2, "layers": 1, "heads": 2, "gate": "channel"}
CONFIG = TrainConfig(
    name="scene",
    network=NetworkConfig("action_transformer", options=OPTIONS),
    transfer=SCENE_FEATURES,
    input=ClipInput(window=WindowConfig(9), size=32, width=48, augment=None),
)
LABELS = ("standing", "walking")


@pytest.fixture(scope="module")
def start(tiny_folder: Path) -> Start:
    """SE-I3D with open gates."""
    return read_start(tiny_folder)


def scene(**changed: Any) -> Scene:
    found = trainable(replace(CONFIG, **changed))
    assert isinstance(found, Scene)
    return found


@pytest.mark.exhaustive
def test_a_scene_network_takes_the_trunk_of_an_i3d_with_its_gates(start: Start) -> None:
    model = scene().build(Mode.RGB, LABELS, start)
    assert [tensor.shape for tensor in model.inputs] == [(None, 9, 32, 48, 3), (None, 4)]
    taken = [weight for weight in model.weights if weight.path in start.weights]
    assert {weight.path.split("/")[0].removesuffix("_se") for weight in taken} <= set(TRUNK_ENDPOINTS)
    for weight in taken:
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), start.weights[weight.path])
    assert "Mixed_4f_se/expand/kernel" in {weight.path for weight in taken}
    plain = NetworkConfig("action_transformer", options={**OPTIONS, "gate": None})
    with pytest.raises(TrainingError, match="trained gates that the network lacks"):
        scene(network=plain).build(Mode.RGB, LABELS, start)


@pytest.mark.parametrize("endpoint", ["Mixed_4f", "MaxPool3d_4a_3x3"])
def test_front_and_head_of_a_scene_network_together_are_the_network(endpoint: str) -> None:
    network = scene(transfer=replace(SCENE_FEATURES, cache_at=endpoint))
    model = network.build_bare(Mode.RGB, LABELS)
    randomise(model)
    rng = np.random.default_rng(0)
    clip = rng.uniform(-1, 1, (2, 9, 32, 48, 3)).astype(np.float32)
    boxes = np.array([[0.1, 0.1, 0.5, 0.9], [0.4, 0.2, 0.9, 0.8]], np.float32)
    features = keras.ops.convert_to_numpy(network.front(Mode.RGB, model).model(clip, training=False))
    head = network.head(model, features.shape[1:])
    logits = keras.ops.convert_to_numpy(head({"features": features, "boxes": boxes}, training=False))
    expected = keras.ops.convert_to_numpy(model({"clip": clip, "boxes": boxes}, training=False))
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_new_layers_of_a_scene_network_are_those_behind_the_trunk() -> None:
    network = scene()
    model = network.build_bare(Mode.RGB, LABELS)
    network.set_trainable(model, "new")
    learning = {weight.path.split("/")[0] for weight in model.trainable_variables}
    assert "Logits" in learning and not learning & set(TRUNK_ENDPOINTS)
    assert not any(name.endswith("_se") for name in learning)
    network.set_trainable(model, "Mixed_4f")
    learning = {weight.path.split("/")[0] for weight in model.trainable_variables}
    assert {"Mixed_4f", "Mixed_4f_se", "Logits"} <= learning and "Mixed_4e" not in learning
