"""Two-stream I3D, its streams alone, and the service's way to networks that read optical flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from models.classifier import ActionClassifier
from models.data.batches.flow import flow_fields
from models.errors import OverlapUnsupportedError
from models.layers import PackedStream
from models.networks.complexity import complexity
from models.networks.i3d import I3DConfig, build_i3d
from models.networks.packed_clip import one_input
from models.networks.two_stream import make_two_stream_i3d, stream
from models.runtimes import tensorflow as runtime_tensorflow
from models.runtimes.flow_input import packed
from models.runtimes.runner import Precision
from models.training.config import Mode
from models.training.run.networks import join_streams
from models.weights.cards import CARD_FILE, ModelCard, read_card
from models.weights.network_input import network_shape
from models.weights.start import load_stream
from tests.models.check_network import OverfitPlan, check_network, disturb, real_clips
from tests.models.conftest import TINY_LABELS, write_folder

CLIP = (9, 32, 32, 3)


@pytest.mark.exhaustive  # each stream is I3D, whose check is test_i3d_network's
def test_two_stream_passes_the_check_of_networks() -> None:
    model = check_network(
        partial(make_two_stream_i3d, 8, CLIP, dropout=0.0),
        clip_shape=CLIP,
        num_classes=8,
        parameters=2 * 12_302_744 - 343 * 64,  # the flow stream's first convolution has two channels instead of three
        overfit=OverfitPlan(steps=20),
    )
    assert {tensor.name: tensor.shape[-1] for tensor in model.inputs} == {"clip": 3, "flow": 2}


@pytest.fixture(scope="module")
def network() -> Any:
    """Both streams for the five classes of ``tiny_folder``."""
    model = make_two_stream_i3d(len(TINY_LABELS), CLIP)
    disturb(model)
    return model


def test_two_stream_adds_the_logits_of_its_streams(network: Any) -> None:
    rng = np.random.default_rng(4)
    clip = rng.uniform(-1, 1, (2, *CLIP)).astype(np.float32)
    flow = rng.uniform(-1, 1, (2, *CLIP[:3], 2)).astype(np.float32)
    parts = [keras.ops.convert_to_numpy(stream(network, name)(x)) for name, x in (("rgb", clip), ("flow", flow))]
    assert min(np.ptp(part) for part in parts) > 0.01
    both = keras.ops.convert_to_numpy(network({"clip": clip, "flow": flow}))
    np.testing.assert_allclose(both, parts[0] + parts[1], atol=1e-5)


def test_two_stream_costs_both_streams(network: Any) -> None:
    rgb = complexity(stream(network, "rgb"), CLIP).multiply_adds
    stem = 5 * 16 * 16 * 64 * 343  # of one channel, the third, which flow does not have
    both = complexity(network, CLIP, (*CLIP[:3], 2))
    assert both.multiply_adds == 2 * rgb - stem


@pytest.mark.exhaustive
def test_either_stream_takes_the_weights_of_an_i3d_folder(network: Any, tiny_folder: Path) -> None:
    """The folder's network is SE-I3D for colours and five classes; the flow network has two."""
    published = keras.saving.load_model(tiny_folder / "model.keras", compile=False)
    rgb = stream(network, "rgb")
    load_stream(rgb, tiny_folder)
    source = {weight.path: keras.ops.convert_to_numpy(weight) for weight in published.weights}
    loaded = {weight.path: keras.ops.convert_to_numpy(weight) for weight in rgb.weights if "seed" not in weight.path}
    assert all(np.array_equal(value, source[path]) for path, value in loaded.items())
    flow = build_i3d(I3DConfig(num_classes=2, size_hw=(32, 32), channels=2, gate=None))
    output = keras.ops.convert_to_numpy(flow.get_layer("Logits_Conv3d_0c_1x1").kernel)
    load_stream(flow, tiny_folder)
    stem = keras.ops.convert_to_numpy(flow.get_layer("Conv3d_1a_7x7").conv.kernel)
    colours = source["Conv3d_1a_7x7/conv/kernel"]
    np.testing.assert_allclose(stem, np.repeat(colours.mean(axis=3, keepdims=True), 2, axis=3), atol=1e-7)
    assert np.array_equal(keras.ops.convert_to_numpy(flow.get_layer("Logits_Conv3d_0c_1x1").kernel), output)


def test_two_stream_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="must have 3 channels, the flow has its own input; got 2"):
        make_two_stream_i3d(3, (9, 32, 32, 2))
    with pytest.raises(ValueError, match="stream must be one of rgb, flow; got 'both'"):
        stream(None, "both")


# ---- serving ---------------------------------------------------------------------------------------------------------

SERVED = (16, 32, 32, 3)


@pytest.fixture(scope="module")
def street() -> NDArray[np.uint8]:
    """uint8 (2, 16, 32, 32, 3): two clips of the street in which something moves."""
    return real_clips(SERVED)[[1, 6]]


@pytest.fixture(scope="module")
def trained() -> Mapping[Mode, Any]:
    """By mode: the network that ``actoscope train`` writes."""
    shape = I3DConfig(num_classes=len(TINY_LABELS), size_hw=SERVED[1:3], gate=None)
    streams = {Mode.RGB: build_i3d(shape), Mode.FLOW: build_i3d(replace(shape, channels=2))}
    for model in streams.values():
        disturb(model)
    return {Mode.FLOW: streams[Mode.FLOW], Mode.FUSE: join_streams(streams)}


def _inputs(model: Any, clips: NDArray[np.uint8]) -> Any:
    """What the model reads; the flow as training's cache keeps it."""
    pictures = clips.astype(np.float32) / 127.5 - 1
    flow = np.stack([np.rint(flow_fields(clip) * 127) / 127 for clip in clips])
    inputs = {"clip": pictures, "rgb": pictures, "flow": flow}
    return {tensor.name: inputs[tensor.name] for tensor in model.inputs} if len(model.inputs) > 1 else flow


def _without_flow(inputs: Any) -> Any:
    return {**inputs, "flow": inputs["flow"] * 0} if isinstance(inputs, dict) else inputs * 0


@pytest.mark.exhaustive
@pytest.mark.parametrize(("mode", "runtime"), [(Mode.FLOW, "tensorflow"), (Mode.FUSE, "openvino")])
def test_networks_trained_on_flow_are_served(
    mode: Mode, runtime: str, trained: Mapping[Mode, Any], street: NDArray[np.uint8], tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / mode.value, trained[mode], TINY_LABELS, SERVED[:3])
    card = read_card(folder).model_copy(update={"kind": f"i3d_{mode.value}"})
    (folder / CARD_FILE).write_text(card.model_dump_json(), "utf-8")
    given = _inputs(trained[mode], street)
    expected = keras.ops.convert_to_numpy(trained[mode](given))
    still = keras.ops.convert_to_numpy(trained[mode](_without_flow(given)))
    classifier = ActionClassifier.load(folder, runtime, precision=Precision.F32)
    assert classifier.clip_shape == SERVED
    assert "optical flow (DIS)" in classifier.runtime
    assert classifier.preferred_batch == 1
    difference = np.abs(classifier.logits(street) - expected).max()
    assert difference <= 1e-4
    assert difference < 0.1 * np.abs(still - expected).max()  # of a network that gets no flow
    with pytest.raises(ValueError, match="takes no boxes"):
        classifier.predict(street, np.zeros((2, 4), np.float32))
    with pytest.raises(OverlapUnsupportedError):
        classifier.reuse_stems(10**9)


def test_networks_of_both_inputs_become_one_of_packed_clips(
    network: Any, trained: Mapping[Mode, Any], street: NDArray[np.uint8]
) -> None:
    """The registry's network names its inputs otherwise than training does; half precision keeps the flow's bytes."""
    arrays = packed(_card("two_stream_i3d"), street).astype(np.float32) * np.float32(2 / 255) - 1
    for model in (network, trained[Mode.FUSE]):
        expected = keras.ops.convert_to_numpy(model(_inputs(model, street)))
        one = one_input(model)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(one(arrays)), expected, atol=1e-4)
    half = keras.ops.convert_to_numpy(runtime_tensorflow._in_mixed_bf16(one)(arrays))
    assert 0 < np.abs(half - expected).max() < 0.05
    assert half.dtype == np.float32


def _card(kind: str) -> ModelCard:
    hashes = {"labels.txt": "0" * 64, "model.keras": "0" * 64}
    return ModelCard(name="x", kind=kind, num_classes=5, provenance="test", licence="none", sha256=hashes)


@pytest.mark.parametrize(
    ("kind", "channels"), [("se_i3d", 3), ("se_i3d_flow", 2), ("i3d_fuse", 5), ("two_stream_i3d", 5), ("slowfast", 3)]
)
def test_cards_say_what_their_network_is_given(kind: str, channels: int, street: NDArray[np.uint8]) -> None:
    card = _card(kind)
    assert network_shape(card) == (64, 224, 224, channels)
    arrays = packed(card, street)
    assert arrays.shape == (*street.shape[:-1], channels)
    assert arrays.dtype == np.uint8
    assert channels == 2 or np.array_equal(arrays[..., :3], street)
    assert channels == 3 or arrays[..., -2:].std() > 0


def test_packed_flow_comes_back_as_training_knows_it(street: NDArray[np.uint8]) -> None:
    arrays = packed(_card("se_i3d_fuse"), street).astype(np.float32) * np.float32(2 / 255) - 1
    fields = np.stack([flow_fields(clip) for clip in street])
    flow = keras.ops.convert_to_numpy(PackedStream("flow")(arrays))
    np.testing.assert_allclose(flow, np.rint(fields * 127) / 127, atol=1e-6)
    colours = keras.ops.convert_to_numpy(PackedStream("rgb")(arrays))
    np.testing.assert_allclose(colours, street / 127.5 - 1, atol=1e-6)


def test_packed_stream_survives_its_configuration_and_knows_two_streams() -> None:
    layer = PackedStream("flow", dtype="mixed_bfloat16")
    assert layer.compute_dtype == "float32"
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 4, 8, 8, 5)) == (None, 4, 8, 8, 2)
    with pytest.raises(ValueError, match="stream must be rgb or flow, got 'depth'"):
        PackedStream("depth")
