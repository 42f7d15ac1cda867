"""The network of a training: I3D through ``transfer``, every other one of the registry as its maker makes it.

The others are known by their layers: whatever is named in a configuration is the name of a layer, features are cut
where everything passes through one layer, and the last layer with weights is the output.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from models.errors import TrainingError
from models.networks import registry
from models.networks.cnn_rnn import FEATURES, KINDS, configured, features_part, head_layers, seen_frames, sequence_part
from models.networks.i3d import GATES
from models.training import transfer
from models.training.config import ALL_LAYERS, NEW_LAYERS, BatchNorm, Mode, TrainConfig
from models.training.data import input_config
from models.training.feature_cache import Frozen, clip_shape, short_key
from models.training.frozen_front import front_key
from models.training.transfer import Start


def build(config: TrainConfig, stream: Mode, labels: Sequence[str], start: Start | None) -> Any:
    """→ one stream: keras.Model from float clips (B, T, S, S, C) to logits, with the weights of ``start``.

    Raises TrainingError where they do not fit, ValueError for options that the network does not take, PullError where
    weights that the options ask for cannot be fetched.
    """
    if config.network.kind in GATES:
        return transfer.build_stream(config.network, stream, labels, config.input.size, start)
    if start is None:
        return _make(config, len(labels), config.network.options)
    model = build_bare(config, stream, labels)
    copy_weights(model, start, keep_head=start.labels != tuple(labels))
    return model


def build_bare(config: TrainConfig, stream: Mode, labels: Sequence[str]) -> Any:
    """→ the same network at random, for weights to be set: nothing is read or fetched for it."""
    if config.network.kind in GATES:
        return transfer.build_stream(config.network, stream, labels, config.input.size, None)
    options = {name: value for name, value in config.network.options.items() if name != "weights"}
    return _make(config, len(labels), options)


def _make(config: TrainConfig, classes: int, options: Mapping[str, Any]) -> Any:
    length, size = config.input.window.length, config.input.size
    return registry.build(config.network.kind, classes, (length, size, size, 3), **options)


def copy_weights(model: Any, start: Start, keep_head: bool) -> None:
    """Give ``model`` all weights of ``start``, in their order; its own output layer stays with ``keep_head``.

    Raises TrainingError where one does not fit.
    """
    own = [weight for weight in model.weights if "seed_generator" not in weight.path]
    given = list(start.weights.values())
    kept = {id(weight) for weight in output_layer(model).weights} if keep_head else set()
    wrong = [
        weight.path
        for weight, value in zip(own, given, strict=False)
        if id(weight) not in kept and tuple(weight.shape) != value.shape
    ]
    if wrong or len(own) != len(given):
        raise TrainingError(
            f"the start weights ({len(given)} arrays) do not fit the network's {len(own)}; {', '.join(wrong[:5])}"
        )
    for weight, value in zip(own, given, strict=True):
        if id(weight) not in kept:
            weight.assign(value)


def output_layer(model: Any) -> Any:
    """→ the last layer that has weights: what makes the logits."""
    return next(layer for layer in reversed(model.layers) if layer.weights)


def set_trainable(config: TrainConfig, model: Any, train_from: str) -> None:
    """Freeze everything but ``train_from`` to the logits, or the new layers. Raises TrainingError for another name."""
    batch_norm = config.transfer.batch_norm
    if config.network.kind in GATES:
        transfer.set_trainable(model, train_from, batch_norm)
        return
    learning = {id(layer) for layer in _learning(config, model, train_from)}
    for layer in model.layers:
        layer.trainable = id(layer) in learning
        for inner in layer._flatten_layers():
            if isinstance(inner, keras.layers.BatchNormalization):
                inner.trainable = layer.trainable and batch_norm is BatchNorm.TRAINED


def _learning(config: TrainConfig, model: Any, train_from: str) -> list[Any]:
    if train_from == NEW_LAYERS:
        return head_layers(model) if config.network.kind in KINDS else [output_layer(model)]
    names = [layer.name for layer in model.layers]
    if train_from not in (ALL_LAYERS, *names):
        raise TrainingError(f"no layer is called {train_from!r}; there are {', '.join((ALL_LAYERS, *names))}")
    return list(model.layers) if train_from == ALL_LAYERS else model.layers[names.index(train_from) :]


def frozen_part(config: TrainConfig, stream: Mode, model: Any) -> Frozen:
    """→ the part of ``model`` whose features are kept, named for all that shapes them."""
    endpoint, shape = config.transfer.cache_at, str(clip_shape(input_config(config, 1), stream))
    if config.network.kind in GATES:
        part = transfer.front(model, endpoint)
        return Frozen(part, stream, f"{stream.value}-{endpoint}-{short_key(front_key(part), shape)}")
    if config.network.kind not in KINDS:
        part = keras.Model(model.input, model.get_layer(endpoint).output, name="front")
        made = f"{config.network.kind} {sorted(config.network.options.items())}"
        return Frozen(part, stream, f"{config.network.kind}-{endpoint}-{short_key(_content(part), made, shape)}")
    part = features_part(model)
    about = configured(config.network.kind, 1, model.input_shape[1:], config.network.options)
    made = f"{about.backbone} {sorted(about.backbone_options.items())} {about.frames}"  # a head may be any
    pictures = () if config.input.repeat else tuple(seen_frames(model))
    return Frozen(part, stream, f"{about.backbone}-{short_key(_content(part), made, shape)}", pictures)


def head_part(config: TrainConfig, model: Any, shape: tuple[int, ...]) -> Any:
    """→ what comes behind the features of ``shape``; weights are shared with ``model``."""
    if config.network.kind in GATES:
        return transfer.head(model, config.transfer.cache_at, shape)
    if config.network.kind in KINDS:
        return sequence_part(model)
    return keras.Model(model.get_layer(config.transfer.cache_at).output, model.output, name=f"{model.name}_head")


def gives_sequences(config: TrainConfig) -> bool:
    """Whether the features that are kept are one row a picture, which the network's end takes with a mask."""
    return config.network.kind in KINDS and config.transfer.cache_at == FEATURES


def _content(model: Any) -> str:
    """Hash of every weight's value, whatever their names."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(str(tuple(weight.shape)).encode())
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()
