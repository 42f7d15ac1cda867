"""The network of a training: which kind it is, and its streams as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from models.errors import TrainingError
from models.networks import registry
from models.networks.cnn_rnn import KINDS
from models.networks.i3d import LOGITS
from models.networks.registry import InputKind
from models.training.config import Mode, TrainConfig
from models.training.kinds.i3d import I3D
from models.training.kinds.i3d import KINDS as I3D_KINDS
from models.training.kinds.layered import Layered
from models.training.kinds.recurrent import Recurrent
from models.training.kinds.saved import SAVED, Saved
from models.training.kinds.scene import Scene
from models.training.trainable import Trainable

_BY_NAME: Mapping[str, Callable[[TrainConfig], Trainable]] = {
    **dict.fromkeys(I3D_KINDS, I3D),
    **dict.fromkeys(KINDS, Recurrent),
}
_BY_INPUT: Mapping[InputKind, Callable[[TrainConfig], Trainable]] = {
    InputKind.CROPS: Layered,
    InputKind.SCENE: Scene,
}
_OTHER_INPUTS = {
    InputKind.CROPS_AND_FLOW: "crops together with their flow: train its streams as i3d with mode=Mode.FUSE",
}


def trainable(config: TrainConfig) -> Trainable:
    """→ the kind of network that ``config`` wants. Raises TrainingError naming those that can be trained."""
    if config.network.kind == SAVED:
        return Saved(config)
    row = registry.NETWORKS.get(config.network.kind)
    known = {kind: sorted(row.name for row in registry.NETWORKS.values() if row.inputs is kind) for kind in _BY_INPUT}
    if row is None:
        names = ", ".join(sorted(name for some in known.values() for name in some))
        raise TrainingError(f"network.kind must be one of {names}; got {config.network.kind!r}")
    kind = _BY_NAME.get(row.name) or _BY_INPUT.get(row.inputs)
    if kind is None:
        raise TrainingError(
            f"network.kind {row.name!r} reads {_OTHER_INPUTS[row.inputs]}; what reads crops alone is "
            f"{', '.join(known[InputKind.CROPS])}"
        )
    return kind(config)


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
