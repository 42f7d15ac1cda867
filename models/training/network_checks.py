"""What would stop the training of a network other than I3D, found before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from pydantic import ValidationError

from models.errors import CardError, ModelsError
from models.networks import registry
from models.networks.cnn_backbone import IMAGENET, BackboneConfig
from models.networks.cnn_rnn import FEATURES, KINDS, backbone_layers
from models.networks.i3d import GATES
from models.networks.registry import InputKind
from models.training.config import ALL_LAYERS, NEW_LAYERS, BatchNorm, Mode, NetworkConfig, OptimizerConfig, TrainConfig
from models.training.networks import build_bare
from models.training.transfer import find_weights
from models.weights.cards import CARD_FILE, ModelInput, read_card

_OTHER_INPUTS = {
    InputKind.CROPS_AND_FLOW: "crops together with their flow: train its streams as i3d with mode=Mode.FUSE",
    InputKind.SCENE: "whole scenes and the boxes of people in them, which data sets of crops do not hold",
}


def network_problems(config: TrainConfig) -> Iterator[str]:
    """What the configuration alone shows; nothing is built."""
    row = registry.NETWORKS.get(config.network.kind)
    trainable = sorted(name for name, other in registry.NETWORKS.items() if other.inputs is InputKind.CROPS)
    if row is None:
        yield f"network.kind must be one of {', '.join(trainable)}; got {config.network.kind!r}"
    elif row.inputs is not InputKind.CROPS:
        yield (
            f"network.kind {row.name!r} reads {_OTHER_INPUTS[row.inputs]}; what reads crops alone is "
            f"{', '.join(trainable)}"
        )
    elif row.name in GATES:
        if config.network.options:
            yield "network.options are for other networks than I3D, whose fields are init_flow, hidden, dropout, …"
    else:
        yield from _other_problems(config)
    try:
        ModelInput(frames=config.input.window.length, height=config.input.size, width=config.input.size)
    except ValidationError as error:
        yield f"input.window.length and input.size are not what a model's card may say: {error.errors()[0]['msg']}"
    if not config.input.repeat and not (config.network.kind in KINDS and config.transfer.cache_at):
        yield f"input.repeat=False is for cached features of {', '.join(KINDS)}: other networks know no mask"


def _other_problems(config: TrainConfig) -> Iterator[str]:
    network, plain = config.network, NetworkConfig()
    for name in ("init_flow", "hidden", "dropout", "gate_ratio"):
        if getattr(network, name) != getattr(plain, name):
            yield f"network.{name} is for I3D; {network.kind} takes its own in network.options"
    if config.mode is not Mode.RGB:
        yield f"{network.kind} reads RGB; mode {config.mode.value} is for I3D"
    if config.optimizer.output_rate != OptimizerConfig().output_rate:
        yield "optimizer.output_rate is for I3D"
    if network.init == plain.init:
        yield f"network.init {network.init!r} holds an I3D: {network.kind} needs init='' or weights of its own kind"
    elif network.init:
        yield from _start_problems(network)
    from_scratch = not network.init and not network.options.get("weights")
    if from_scratch and not config.transfer.cache_at and config.transfer.batch_norm is BatchNorm.FROZEN:
        yield (
            f"{network.kind} starts at random, so its batch normalisation must learn, too: transfer.batch_norm must be "
            "BatchNorm.TRAINED (transfer=FROM_SCRATCH is all that it takes)"
        )


def _start_problems(network: NetworkConfig) -> Iterator[str]:
    folder = find_weights(network.init)
    if not (folder / CARD_FILE).is_file():
        return  # named with all other weights that are missing
    try:
        kind = read_card(folder).kind
    except CardError as error:
        yield f"network.init: {error}"
        return
    if kind != network.kind:
        yield f"network.init {network.init!r} holds a {kind}, not a {network.kind}"


def built_problems(config: TrainConfig) -> list[str]:
    """What shows when the network is built (at random): shapes and options that it cannot have, and layers' names."""
    if config.network.kind in GATES:
        return []
    try:
        model = build_bare(config, Mode.RGB, ("one", "other"))
        if config.network.kind in KINDS:
            _check_weights(config)
    except (ModelsError, ValueError, TypeError) as error:
        return [f"{config.network.kind} cannot be built: {error}"]
    return list(_layer_problems(config, model))


def _check_weights(config: TrainConfig) -> None:
    """Raises ValueError for a file that is not there."""
    weights = config.network.options.get("weights")
    if weights not in (None, IMAGENET):
        BackboneConfig(weights=weights)


def _layer_problems(config: TrainConfig, model: Any) -> Iterator[str]:
    names = [layer.name for layer in model.layers]
    cache, rows = config.transfer.cache_at, config.transfer.unfreeze
    for name in {cache, *(row.train_from for row in rows)} - {"", ALL_LAYERS, NEW_LAYERS, *names}:
        shown = [layer.name for layer in backbone_layers(model)] if config.network.kind in KINDS else names
        yield f"transfer: no layer is called {name!r}; there are {', '.join(shown)}"
        return
    if not cache:
        return
    if config.network.kind in KINDS and cache != FEATURES:
        yield f"transfer: {config.network.kind} caches at {FEATURES!r} (transfer=FRAME_FEATURES), not at {cache!r}"
    place = names.index(cache)
    early = [
        row.train_from
        for row in rows
        if row.train_from == ALL_LAYERS or (row.train_from in names and names.index(row.train_from) <= place)
    ]
    if early:
        yield f"transfer: {', '.join(early)} lies in the part whose features are cached; set cache_at to ''"
    if not _is_cut(model, cache):
        yield f"transfer: not everything passes through {cache}, so features cannot be cached there"


def _is_cut(model: Any, endpoint: str) -> bool:
    if endpoint == FEATURES:  # the mask passes by, and is kept with the features
        return True
    try:
        keras.Model(model.get_layer(endpoint).output, model.output)
    except ValueError:
        return False
    return True
