"""I3D and SE-I3D: Inception inflated to video, as a functional builder over the published table of stages.

Source: Carreira & Zisserman, "Quo Vadis, Action Recognition?" (2017) and its reference code, github.com/deepmind/
kinetics-i3d ``i3d.py``, whose endpoint names are kept. The squeeze-and-excite blocks follow Hu et al. (2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import keras

from models.layers import GateAxes, Inception3D, SqueezeExcite3D, Unit3D

MIN_FRAMES = 9  # below, fewer than the two time steps remain that the last average pool spans


class StageKind(str, Enum):
    CONV = "conv"
    POOL = "pool"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the table. ``size`` is the kernel or window as (time, height, width); a mixed block six filters."""

    endpoint: str
    kind: StageKind
    filters: tuple[int, ...] = ()
    size: tuple[int, int, int] = (1, 1, 1)
    strides: tuple[int, int, int] = (1, 1, 1)


STAGES: tuple[Stage, ...] = (
    Stage("Conv3d_1a_7x7", StageKind.CONV, (64,), (7, 7, 7), (2, 2, 2)),
    Stage("MaxPool3d_2a_3x3", StageKind.POOL, (), (1, 3, 3), (1, 2, 2)),
    Stage("Conv3d_2b_1x1", StageKind.CONV, (64,)),
    Stage("Conv3d_2c_3x3", StageKind.CONV, (192,), (3, 3, 3)),
    Stage("MaxPool3d_3a_3x3", StageKind.POOL, (), (1, 3, 3), (1, 2, 2)),
    Stage("Mixed_3b", StageKind.MIXED, (64, 96, 128, 16, 32, 32)),
    Stage("Mixed_3c", StageKind.MIXED, (128, 128, 192, 32, 96, 64)),
    Stage("MaxPool3d_4a_3x3", StageKind.POOL, (), (3, 3, 3), (2, 2, 2)),
    Stage("Mixed_4b", StageKind.MIXED, (192, 96, 208, 16, 48, 64)),
    Stage("Mixed_4c", StageKind.MIXED, (160, 112, 224, 24, 64, 64)),
    Stage("Mixed_4d", StageKind.MIXED, (128, 128, 256, 24, 64, 64)),
    Stage("Mixed_4e", StageKind.MIXED, (112, 144, 288, 32, 64, 64)),
    Stage("Mixed_4f", StageKind.MIXED, (256, 160, 320, 32, 128, 128)),
    Stage("MaxPool3d_5a_2x2", StageKind.POOL, (), (2, 2, 2), (2, 2, 2)),
    Stage("Mixed_5b", StageKind.MIXED, (256, 160, 320, 32, 128, 128)),
    Stage("Mixed_5c", StageKind.MIXED, (384, 192, 384, 48, 128, 128)),
)
BLOCKS: tuple[str, ...] = tuple(stage.endpoint for stage in STAGES if stage.kind is StageKind.MIXED)
AVG_POOL, LOGITS, PREDICTIONS = "AvgPool3d", "Logits", "Predictions"
LOGITS_CONV = "Logits_Conv3d_0c_1x1"
HIDDEN_CONV = "Hidden_Conv3d_0b_1x1"
HEAD_NORM = "Head_norm"
ENDPOINTS: tuple[str, ...] = (*(stage.endpoint for stage in STAGES), LOGITS, PREDICTIONS)


@dataclass(frozen=True, slots=True)
class I3DConfig:
    """What to build. ``gate`` None is plain I3D; ``frames`` None leaves the clip length open (at least 9).

    ``channels`` is 3 for RGB and 2 for optical flow (x, y). ``hidden`` nodes with ReLU come before the logits where it
    is not 0. ``last``: the stage that the logits follow. ``ranks``: by endpoint, of its convolutions that are split in
    space and time (``Unit3D``): one number, or one each for branches 1 and 2 of a mixed block.
    ``head_norm``: pooled features are brought to mean 0 and spread 1 before the output, which then learns them alike.
    ``depths``: the blocks, up to ``last``, whose features the output reads side by side, each averaged over all of time
    and space (``AvgPool3d`` is then (B, 1, 1, 1, C) of all of them); empty: those of ``last`` alone, as published.
    """

    num_classes: int = 400
    frames: int | None = None
    size_hw: tuple[int, int] = (224, 224)
    gate: GateAxes | None = GateAxes.CHANNEL
    gate_ratio: int = 16
    dropout: float = 0.5  # the published training's; inactive at inference
    channels: int = 3
    hidden: int = 0
    last: str = STAGES[-1].endpoint
    ranks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    head_norm: bool = False
    depths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {self.num_classes}")
        if self.frames is not None and self.frames < MIN_FRAMES:
            raise ValueError(f"frames must be at least {MIN_FRAMES}, got {self.frames}")
        if self.channels < 1 or self.hidden < 0:
            raise ValueError(f"expected channels >= 1 and hidden >= 0, got {self.channels} and {self.hidden}")
        unknown = sorted({self.last, *self.ranks} - {stage.endpoint for stage in STAGES})
        if unknown:
            raise ValueError(f"no stage is called {', '.join(unknown)}")
        if self.depths and (self.depths != _in_order(self.depths) or self.depths[-1] != self.last):
            raise ValueError(
                f"depths must be some of {', '.join(BLOCKS)}, each once and in this order, and end with {self.last}; "
                f"got {', '.join(self.depths)}"
            )


def _in_order(depths: Sequence[str]) -> tuple[str, ...]:
    return tuple(block for block in BLOCKS if block in depths)


def build_i3d(config: I3DConfig = I3DConfig(), final_endpoint: str = LOGITS) -> Any:
    """→ keras.Model: float (B, T, H, W, 3) RGB (or ``channels`` of flow) in [-1, 1] → the named endpoint.

    ``Logits`` is (B, num_classes) averaged over time, ``Predictions`` its softmax; a stage's endpoint is its features
    after its gate. Raises ValueError for an unknown endpoint.
    """
    if final_endpoint not in ENDPOINTS:
        raise ValueError(f"final_endpoint must be one of {', '.join(ENDPOINTS)}; got {final_endpoint!r}")
    inputs = keras.Input((config.frames, *config.size_hw, config.channels), name="clip", dtype="float32")
    name = "i3d" if config.gate is None else "se_i3d"
    x = inputs
    means: list[Any] = []
    for stage in STAGES:
        x = _stage(stage, config, x)
        if stage.endpoint == final_endpoint:
            return keras.Model(inputs, x, name=name)
        if stage.endpoint in config.depths:
            means.append(_mean(stage.endpoint, x))
        if stage.endpoint == config.last:
            break
    x = _logits(config, _side_by_side(means) if means else _averaged(x))
    if final_endpoint == PREDICTIONS:
        x = keras.layers.Softmax(dtype="float32", name=PREDICTIONS)(x)
    return keras.Model(inputs, x, name=name)


def features(model: Any, endpoint: str) -> Any:
    """→ keras.Model from the clip to ``endpoint`` of ``model`` (weights shared). Raises ValueError if it has none."""
    names = {layer.name for layer in model.layers}
    gated = f"{endpoint}_se"
    if endpoint not in names:
        raise ValueError(f"endpoint must be one of {', '.join(e for e in ENDPOINTS if e in names)}; got {endpoint!r}")
    layer = model.get_layer(gated if gated in names else endpoint)
    return keras.Model(model.input, layer.output, name=f"{model.name}_{endpoint}")


def _stage(stage: Stage, config: I3DConfig, x: Any) -> Any:
    """Features (B, T, H, W, C) → the stage's features."""
    if stage.kind is StageKind.CONV:
        rank = config.ranks.get(stage.endpoint, (0,))[0]
        return Unit3D(stage.filters[0], stage.size, stage.strides, rank, name=stage.endpoint)(x)
    if stage.kind is StageKind.POOL:
        pool = keras.layers.MaxPooling3D(
            stage.size, stage.strides, "same", data_format="channels_last", name=stage.endpoint
        )
        return pool(x)
    first, second = config.ranks.get(stage.endpoint, (0, 0))
    x = Inception3D(stage.filters, (first, second), name=stage.endpoint)(x)
    if config.gate is None:
        return x
    return SqueezeExcite3D(config.gate_ratio, config.gate.value, name=f"{stage.endpoint}_se")(x)


def mean_name(block: str) -> str:
    """→ the name of the layer that averages the features of ``block`` where it is one of ``I3DConfig.depths``."""
    return f"{block}_mean"


def _mean(block: str, x: Any) -> Any:
    """Features (B, T, H, W, C) → (B, 1, 1, 1, C), in float32 whatever the network computes in."""
    pool = keras.layers.GlobalAveragePooling3D(
        data_format="channels_last", keepdims=True, dtype="float32", name=mean_name(block)
    )
    return pool(x)


def _side_by_side(means: Sequence[Any]) -> Any:
    """Means (B, 1, 1, 1, C) of several depths → (B, 1, 1, 1, their sum)."""
    return keras.layers.Concatenate(dtype="float32", name=AVG_POOL)(means)


def _averaged(x: Any) -> Any:
    """Features (B, T, H, W, C) → (B, T - 1, 1, 1, C) where H and W are at most 7.

    The published window is 2×7×7, all of space at 224². Smaller pictures get all the space they have, larger ones are
    averaged over the positions of the window.
    """
    height, width = x.shape[2], x.shape[3]
    window = (2, min(7, height), min(7, width))
    return keras.layers.AveragePooling3D(window, (1, 1, 1), "valid", data_format="channels_last", name=AVG_POOL)(x)


def _logits(config: I3DConfig, x: Any) -> Any:
    """Pooled features (B, T, H, W, C) → (B, num_classes)."""
    if config.head_norm:
        x = keras.layers.BatchNormalization(momentum=0.9, center=False, scale=False, name=HEAD_NORM)(x)
    x = keras.layers.Dropout(config.dropout, name="Dropout")(x)
    if config.hidden:
        x = keras.layers.Conv3D(
            config.hidden, (1, 1, 1), activation="relu", data_format="channels_last", name=HIDDEN_CONV
        )(x)
    conv = keras.layers.Conv3D(
        config.num_classes, (1, 1, 1), data_format="channels_last", dtype="float32", name=LOGITS_CONV
    )
    pool = keras.layers.GlobalAveragePooling3D(data_format="channels_last", dtype="float32", name=LOGITS)
    return pool(conv(x))


GATES: Mapping[str, GateAxes | None] = {
    "i3d": None,
    "se_i3d": GateAxes.CHANNEL,
    "se_i3d_time": GateAxes.CHANNEL_TIME,
}


def make_i3d(num_classes: int, clip_shape: tuple[int, int, int, int], **options: Any) -> Any:
    """I3D for clips of (T, H, W, channels); ``options`` are ``I3DConfig``'s. The clip length stays open."""
    return build_i3d(_named("i3d", num_classes, clip_shape, options))


def make_se_i3d(num_classes: int, clip_shape: tuple[int, int, int, int], **options: Any) -> Any:
    """As ``make_i3d``, with gates on channels."""
    return build_i3d(_named("se_i3d", num_classes, clip_shape, options))


def make_se_i3d_time(num_classes: int, clip_shape: tuple[int, int, int, int], **options: Any) -> Any:
    """As ``make_i3d``, with gates on channels and time."""
    return build_i3d(_named("se_i3d_time", num_classes, clip_shape, options))


def _named(name: str, num_classes: int, clip_shape: tuple[int, int, int, int], options: Mapping[str, Any]) -> I3DConfig:
    frames, height, width, channels = clip_shape
    if frames < MIN_FRAMES:
        raise ValueError(f"clip_shape must have at least {MIN_FRAMES} frames, got {frames}")
    given: dict[str, Any] = {"size_hw": (height, width), "channels": channels, "gate": GATES[name], **options}
    return I3DConfig(num_classes=num_classes, **given)
