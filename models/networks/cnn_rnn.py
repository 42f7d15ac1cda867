"""A picture network looks at each frame, a small one at what it found in them: recurrent, attentive, or a mere vote.

Sources: Donahue et al., "Long-term Recurrent Convolutional Networks" (2015) for the idea; InceptionV3 (Szegedy et al.
2016) with GRU (Cho et al. 2014) and EfficientNet-B7 (Tan & Le 2019) with LSTM (Hochreiter & Schmidhuber 1997). In their
place may stand self-attention over the frames (Vaswani et al. 2017), a transformer encoder that knows their order
(Neimark et al., "Video Transformer Network", 2021), or nothing: each frame is classified by itself, and their mean is
the answer (Karpathy et al., "Large-scale Video Classification with Convolutional Neural Networks", 2014, section 3.1).

A clip with more frames than the network looks at is thinned inside the graph: it sees the middles of equal parts. A
clip with fewer people-pictures than frames may be padded with frames of zeros at its end: the graph finds them and the
recurrent layers pass over them. Recurrent layers are unrolled: the same sums in the same order on every backend (no
fused kernels, which differ), and a graph without loops, which every converter takes.

The part behind the pictures' features is small and can be trained alone, on features computed once: ``features_part``
and ``sequence_part`` share their weights with the whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import keras

from models.layers import (
    FeedForward,
    FoldTime,
    FrameAttention,
    FrameMask,
    FramePool,
    FramePositions,
    FrameVotes,
    PickFrames,
    UnfoldTime,
)
from models.layers.pick_frames import picked_frames
from models.networks.cnn_backbone import BackboneConfig, add_backbone

FRAMES, MASK, PICTURES, FEATURES = "Frames", "Mask", "Pictures", "Features"
NORM, ATTENTION, DROPOUT, HIDDEN, LOGITS = "Norm", "Attention", "Dropout", "Hidden", "Logits"
POSITIONS, FEED, POOL, VOTES = "Positions", "Feed", "Pool", "Votes"
ClipShape = tuple[int, int, int, int]


class Cell(str, Enum):
    """What reads the frames' features."""

    GRU = "gru"
    LSTM = "lstm"
    ATTENTION = "attention"  # one layer of it, then the mean over the frames
    TRANSFORMER = "transformer"  # places, blocks of attention and feed-forward, then the maximum over the frames
    AVERAGE = "average"  # nothing: frames vote


RECURRENT: Mapping[Cell, type[Any]] = {Cell.GRU: keras.layers.GRU, Cell.LSTM: keras.layers.LSTM}
MASKED = (FrameAttention, FramePool, FrameVotes, keras.layers.RNN)  # layers that must know which frames are padding
KINDS: Mapping[str, Mapping[str, Any]] = {
    "cnn_gru": {"cell": Cell.GRU, "backbone": "InceptionV3"},
    "cnn_lstm": {"cell": Cell.LSTM, "backbone": "EfficientNetB7"},
    "cnn_attention": {"cell": Cell.ATTENTION, "backbone": "MobileNetV2"},
    "cnn_transformer": {"cell": Cell.TRANSFORMER, "backbone": "MobileNetV2"},
    "cnn_average": {"cell": Cell.AVERAGE, "backbone": "MobileNetV2", "hidden": 512},
}


@dataclass(frozen=True, slots=True)
class CnnRnnConfig:
    """What to build. ``frames``: how many the network looks at; longer clips are thinned.

    ``units``: of each recurrent layer in turn. ``hidden`` nodes with ReLU come before the logits where it is not 0.
    ``attention``: self-attention over the frames' features before the recurrent layers. ``heads``: of all attention.
    ``blocks`` of the transformer, with ``feed`` nodes in each feed-forward part.
    ``trainable_backbone``: whether the backbone learns: all of it, or from the layer of this name on. ``backbone``,
    ``weights`` and ``backbone_options`` are ``BackboneConfig``'s.
    """

    num_classes: int
    clip_shape: ClipShape
    cell: Cell = Cell.GRU
    backbone: str = "InceptionV3"
    weights: str | Path | None = None
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    frames: int = 20
    units: tuple[int, ...] = (256,)
    hidden: int = 0
    dropout: float = 0.5
    attention: bool = False
    heads: int = 4
    blocks: int = 1
    feed: int = 256
    trainable_backbone: bool | str = False

    def __post_init__(self) -> None:
        if min(self.num_classes, self.frames, self.heads, *self.clip_shape) < 1 or self.clip_shape[3] != 3:
            raise ValueError(
                "expected num_classes, frames and heads from 1 on and clips (T, H, W, 3), got "
                f"{self.num_classes}, {self.frames}, {self.heads} and {self.clip_shape}"
            )
        if not self.units or min(self.units) < 1 or self.hidden < 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "expected units from 1 on for at least one recurrent layer, hidden >= 0 and dropout in 0..1, got "
                f"{self.units}, {self.hidden} and {self.dropout}"
            )
        if min(self.blocks, self.feed) < 1:
            raise ValueError(f"expected blocks and feed from 1 on, got {self.blocks} and {self.feed}")


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the table behind the features."""

    endpoint: str
    layer: type[Any]
    options: Mapping[str, Any] = field(default_factory=dict)


def stages(config: CnnRnnConfig) -> tuple[Stage, ...]:
    """From the frames' features (B, T, D) to the logits (B, num_classes)."""
    rows = [Stage(NORM, keras.layers.LayerNormalization, {"epsilon": 1e-3})]  # backbones' features differ in scale
    rows += _READERS[Cell(config.cell)](config)
    rows.append(Stage(DROPOUT, keras.layers.Dropout, {"rate": config.dropout}))
    if config.hidden:
        rows.append(Stage(HIDDEN, keras.layers.Dense, {"units": config.hidden, "activation": "relu"}))
    rows.append(Stage(LOGITS, keras.layers.Dense, {"units": config.num_classes, "dtype": "float32"}))
    if Cell(config.cell) is Cell.AVERAGE:
        rows.append(Stage(VOTES, FrameVotes, {"dtype": "float32"}))
    return tuple(rows)


def _recurrent(config: CnnRnnConfig) -> list[Stage]:
    layer, last = RECURRENT[Cell(config.cell)], len(config.units)
    rows = [Stage(ATTENTION, FrameAttention, {"heads": config.heads})] if config.attention else []
    for number, units in enumerate(config.units, 1):
        options = {"units": units, "return_sequences": number < last, "unroll": True, "use_cudnn": False}
        rows.append(Stage(f"Recurrent_{number}", layer, options))
    return rows


def _attentive(config: CnnRnnConfig) -> list[Stage]:
    return [Stage(ATTENTION, FrameAttention, {"heads": config.heads}), Stage(POOL, FramePool, {"how": "mean"})]


def _transformer(config: CnnRnnConfig) -> list[Stage]:
    rows = [Stage(POSITIONS, FramePositions)]
    for number in range(1, config.blocks + 1):
        rows.append(Stage(f"{ATTENTION}_{number}", FrameAttention, {"heads": config.heads}))
        rows.append(Stage(f"{FEED}_{number}", FeedForward, {"width": config.feed}))
    return [*rows, Stage(POOL, FramePool, {"how": "max"})]


def _nothing(config: CnnRnnConfig) -> list[Stage]:
    return []


_READERS: Mapping[Cell, Callable[[CnnRnnConfig], list[Stage]]] = {
    Cell.GRU: _recurrent,
    Cell.LSTM: _recurrent,
    Cell.ATTENTION: _attentive,
    Cell.TRANSFORMER: _transformer,
    Cell.AVERAGE: _nothing,
}


def build_cnn_rnn(config: CnnRnnConfig) -> Any:
    """→ keras.Model: float ``clip`` (B, T, H, W, 3) RGB in [-1, 1], padded frames all 0 → float32 logits (B, classes).

    Endpoints: ``Frames`` (B, T', H, W, 3), every layer of the backbone (B·T', …), ``Features`` (B, T', D), and those
    of ``stages``. Raises ValueError, or PullError where ImageNet weights cannot be fetched.
    """
    inputs = keras.Input(config.clip_shape, name="clip", dtype="float32")
    frames = PickFrames(config.frames, name=FRAMES)(inputs)
    found = add_backbone(
        BackboneConfig(config.backbone, config.weights, config.backbone_options), FoldTime(name=PICTURES)(frames)
    )
    x = UnfoldTime(frames.shape[1], name=FEATURES)(found)
    mask = FrameMask(name=MASK)(frames)
    for stage in stages(config):
        layer = stage.layer(name=stage.endpoint, **stage.options)
        x = layer(x, mask=mask) if isinstance(layer, MASKED) else layer(x)
    model = keras.Model(inputs, x, name=f"cnn_{Cell(config.cell).value}")
    train_from(model, config.trainable_backbone)
    return model


def backbone_layers(model: Any) -> list[Any]:
    """→ the layers from the pictures to their features, in order."""
    names = [layer.name for layer in model.layers]
    inner = model.layers[names.index(PICTURES) + 1 : names.index(FEATURES)]
    return [layer for layer in inner if layer.name != MASK]


def train_from(model: Any, start: bool | str) -> None:
    """The backbone learns: not (False), as a whole (True), or from the layer called ``start`` on. Raises ValueError."""
    layers = backbone_layers(model)
    names = [layer.name for layer in layers]
    if isinstance(start, str) and start not in names:
        raise ValueError(f"the backbone has no layer {start!r}; there are {', '.join(names)}")
    first = names.index(start) if isinstance(start, str) else 0 if start else len(names)
    for place, layer in enumerate(layers):
        layer.trainable = place >= first


def features_part(model: Any) -> Any:
    """→ keras.Model from the clip to its frames' features (B, T', D); weights are shared with ``model``."""
    return keras.Model(model.input, model.get_layer(FEATURES).output, name=f"{model.name}_features")


def sequence_part(model: Any) -> Any:
    """→ keras.Model of dict(features=(B, T', D), mask=bool (B, T')) → logits; weights are shared with ``model``."""
    shape = model.get_layer(FEATURES).output.shape[1:]
    features = keras.Input(shape, name="features", dtype="float32")
    mask = keras.Input(shape[:1], name="mask", dtype="bool")
    x = features
    for layer in head_layers(model):
        x = layer(x, mask=mask) if isinstance(layer, MASKED) else layer(x)
    return keras.Model({"features": features, "mask": mask}, x, name=f"{model.name}_sequence")


def head_layers(model: Any) -> list[Any]:
    """→ the layers behind the features, in order."""
    names = [layer.name for layer in model.layers]
    return [layer for layer in model.layers[names.index(FEATURES) + 1 :] if layer.name != MASK]


def seen_frames(model: Any) -> list[int]:
    """→ the numbers of the clip's frames that the network looks at."""
    return [int(number) for number in picked_frames(model.input_shape[1], model.get_layer(FRAMES).count)]


def make_cnn_gru(num_classes: int, clip_shape: ClipShape, **options: Any) -> Any:
    """InceptionV3 (2,048 features a frame) and GRU for clips of (T, H, W, 3); ``options`` are ``CnnRnnConfig``'s."""
    return build_cnn_rnn(configured("cnn_gru", num_classes, clip_shape, options))


def make_cnn_lstm(num_classes: int, clip_shape: ClipShape, **options: Any) -> Any:
    """EfficientNet-B7 (2,560 features a frame) and LSTM; ``options`` are ``CnnRnnConfig``'s."""
    return build_cnn_rnn(configured("cnn_lstm", num_classes, clip_shape, options))


def make_cnn_attention(num_classes: int, clip_shape: ClipShape, **options: Any) -> Any:
    """MobileNetV2 (1,280 features a frame) and self-attention; ``options`` are ``CnnRnnConfig``'s."""
    return build_cnn_rnn(configured("cnn_attention", num_classes, clip_shape, options))


def make_cnn_transformer(num_classes: int, clip_shape: ClipShape, **options: Any) -> Any:
    """MobileNetV2 and a transformer encoder; ``options`` are ``CnnRnnConfig``'s."""
    return build_cnn_rnn(configured("cnn_transformer", num_classes, clip_shape, options))


def make_cnn_average(num_classes: int, clip_shape: ClipShape, **options: Any) -> Any:
    """MobileNetV2 and a hidden layer on each frame, whose answers are averaged; ``options`` are ``CnnRnnConfig``'s."""
    return build_cnn_rnn(configured("cnn_average", num_classes, clip_shape, options))


def configured(kind: str, num_classes: int, clip_shape: ClipShape, options: Mapping[str, Any]) -> CnnRnnConfig:
    """→ the configuration of the registry's ``kind``. Raises ValueError for an option that there is not."""
    try:
        return CnnRnnConfig(num_classes, clip_shape, **{**KINDS[kind], **options})
    except TypeError as error:
        raise ValueError(f"{kind} has no such option: {error}") from error
