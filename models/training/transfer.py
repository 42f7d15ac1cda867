"""Networks for a training: built, started from other weights, cut in two, and unfrozen part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.errors import TrainingError
from models.layers import Inception3D, SqueezeExcite3D, Unit3D
from models.networks.i3d import GATES, HIDDEN_CONV, LOGITS, LOGITS_CONV, STAGES, I3DConfig, build_i3d
from models.training.config import ALL_LAYERS, NEW_LAYERS, BatchNorm, Mode, NetworkConfig
from models.weights.cards import MODEL_FILE, read_card
from models.weights.pretrained import weights_dir

ENDPOINTS = tuple(stage.endpoint for stage in STAGES)
STEM_KERNEL = f"{ENDPOINTS[0]}/conv/kernel"
CHANNELS: Mapping[Mode, int] = {Mode.RGB: 3, Mode.FLOW: 2}


@dataclass(frozen=True, slots=True)
class Start:
    """Weights to start from: by path, with the class names they were trained for."""

    weights: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]
    labels: tuple[str, ...]


def find_weights(name: str) -> Path:
    """→ folder called ``name``, as a path or in the weights directory."""
    path = Path(name)
    return path if path.is_dir() else weights_dir() / name


def read_start(folder: Path) -> Start:
    """Raises CardError for a folder that is incomplete, TrainingError for a network that cannot be read."""
    card = read_card(folder)
    try:
        model = keras.saving.load_model(folder / MODEL_FILE, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"{folder / MODEL_FILE} cannot be loaded: {error}") from error
    arrays = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights if not _is_seed(weight)}
    return Start(arrays, card.labels)


def build_stream(config: NetworkConfig, stream: Mode, labels: Sequence[str], size: int, start: Start | None) -> Any:
    """→ one stream: keras.Model from float clips (B, T, size, size, 3 or 2) to logits, with the weights of ``start``.

    Layers that ``start`` lacks, or has in another shape, keep their own start: gates as the identity, the rest at
    random. The output layer is taken over only where the class names are the same, in the same order.
    """
    gate = GATES[config.kind]
    shape = I3DConfig(
        num_classes=len(labels),
        size_hw=(size, size),
        gate=gate,
        gate_ratio=config.gate_ratio,
        dropout=config.dropout,
        channels=CHANNELS[stream],
        hidden=config.hidden,
    )
    model = build_i3d(shape)
    if start is not None:
        copy_weights(model, start, keep_head=start.labels != tuple(labels))
    return model


def copy_weights(model: Any, start: Start, keep_head: bool) -> None:
    """Give ``model`` every layer of ``start`` that fits; its own output and hidden nodes stay with ``keep_head``.

    A stem made for three colours is averaged over them for flow (Wang et al. 2016, "Temporal Segment Networks",
    cross-modality initialisation). Raises TrainingError where a convolution or its statistics do not fit: half a
    start is no start.
    """
    wrong = []
    for layer in model.layers:
        weights = [weight for weight in layer.weights if not _is_seed(weight)]
        if keep_head and layer.name in {LOGITS_CONV, HIDDEN_CONV}:
            continue
        values = [_fitting(start, weight) for weight in weights]
        if all(value is not None for value in values):
            for weight, value in zip(weights, values, strict=True):
                weight.assign(value)
        elif not is_new(layer):  # of a gate, all or nothing: half of it would no longer be the identity
            wrong.append(layer.name)
    if wrong:
        raise TrainingError(f"the start weights do not fit the network's layers {', '.join(wrong[:5])}")


def _fitting(start: Start, weight: Any) -> np.ndarray[Any, Any] | None:
    """→ the start's value for ``weight``, None where there is none of its shape."""
    value = start.weights.get(weight.path)
    if value is not None and weight.path == STEM_KERNEL and value.shape[3] != weight.shape[3]:
        value = _over_colour(value, weight.shape[3])
    return value if value is not None and value.shape == tuple(weight.shape) else None


def _over_colour(kernel: np.ndarray[Any, np.dtype[np.float32]], channels: int) -> np.ndarray[Any, Any]:
    """(t, h, w, 3, F) → (t, h, w, channels, F), each channel the mean over colour."""
    return np.repeat(kernel.mean(axis=3, keepdims=True), channels, axis=3)


def join_streams(models: Mapping[Mode, Any]) -> Any:
    """→ the only stream itself, or a keras.Model of dict(rgb=…, flow=…) whose logits are the sum of both streams'.

    Raises TrainingError for no stream at all.
    """
    if not models:
        raise TrainingError("a network needs at least one stream")
    if len(models) == 1:
        return next(iter(models.values()))
    inputs = {mode.value: keras.Input(model.input_shape[1:], name=mode.value) for mode, model in models.items()}
    named = {mode: _named(model, f"{mode.value}_stream") for mode, model in models.items()}
    logits = [named[mode](inputs[mode.value]) for mode in models]
    return keras.Model(inputs, keras.layers.Add(dtype="float32", name=LOGITS)(logits), name="fused")


def _named(model: Any, name: str) -> Any:
    return keras.Model(model.input, model.output, name=name)


def front(model: Any, endpoint: str) -> Any:
    """→ keras.Model from the clip to ``endpoint``, after its gate; weights are shared with ``model``."""
    return keras.Model(model.input, model.layers[_end(model, endpoint) - 1].output, name="front")


def head(model: Any, endpoint: str, input_shape: tuple[int, ...]) -> Any:
    """→ keras.Model from features ``input_shape`` = (t, h, w, c) at ``endpoint`` to logits; weights are shared."""
    inputs = keras.Input(input_shape, name="features", dtype="float32")
    x = inputs
    for layer in model.layers[_end(model, endpoint) :]:
        x = layer(x)
    return keras.Model(inputs, x, name=f"{model.name}_head")


def set_trainable(model: Any, train_from: str, batch_norm: BatchNorm) -> None:
    """Freeze everything but ``train_from`` to the logits, or the new layers. Raises TrainingError for another name."""
    first = _first_trained(model, train_from)
    for index, layer in enumerate(model.layers):
        new = train_from == NEW_LAYERS and is_new(layer)
        layer.trainable = new or index >= first
        for unit in _units(layer):
            unit.norm.trainable = layer.trainable and batch_norm is BatchNorm.TRAINED


def is_new(layer: Any) -> bool:
    """Whether Kinetics weights have no such layer: gates, hidden nodes, the output."""
    return isinstance(layer, SqueezeExcite3D) or layer.name in {LOGITS_CONV, HIDDEN_CONV}


def endpoint_order(name: str) -> int:
    """Place of an endpoint in the network: ``all`` before the first, ``new`` after the last. Raises TrainingError."""
    if name == ALL_LAYERS:
        return -1
    order = (*ENDPOINTS, NEW_LAYERS)
    if name not in order:
        raise TrainingError(f"no endpoint is called {name!r}; there are {', '.join((ALL_LAYERS, *order))}")
    return order.index(name)


def _first_trained(model: Any, train_from: str) -> int:
    if endpoint_order(train_from) < 0:
        return 0
    names = [layer.name for layer in model.layers]
    return names.index(train_from) if train_from in names else len(names)  # "new": by kind of layer, not by place


def _end(model: Any, endpoint: str) -> int:
    """Index of the first layer behind ``endpoint`` and its gate."""
    names = [layer.name for layer in model.layers]
    gate = f"{endpoint}_se"
    return names.index(gate if gate in names else endpoint) + 1


def _units(layer: Any) -> Iterator[Unit3D]:
    if isinstance(layer, Unit3D):
        yield layer
    elif isinstance(layer, Inception3D):
        yield from (unit for branch in layer.branches for unit in branch if isinstance(unit, Unit3D))


def _is_seed(weight: Any) -> bool:
    return "seed_generator" in weight.path
