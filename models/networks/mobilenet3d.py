"""MobileNetV3 for video: the published tables with a third dimension, for processors without a graphics card.

Source: Howard et al., "Searching for MobileNetV3" (2019), tables 1 (Large) and 2 (Small), and section 6.1 for the
rounding of widths. The third dimension follows Köpüklü et al., "Resource Efficient 3D Convolutional Neural Networks"
(2019), for MobileNetV2: kernels are as deep in time as ``time_kernel`` (3), the stem keeps the number of frames, and
every later stride of 2 halves time as well as space, so that 16 frames at 112² end as 1×4×4.

Parameters, with statistics of normalisation (4 a channel), d = ``time_kernel``, k the block's kernel, e its expanded
channels, i and o its input's and output's, g = rounded e/4 the units of its gate:

    stem         3·d·9·s + 4·s                   s = 16
    block        i·e + 4·e (where e ≠ i) + d·k²·e + 4·e + [2·e·g + g + e where it has a gate] + e·o + 4·o
    last conv    o·l + 4·l                       l = 960 (Large), 576 (Small)
    head         l·h + h + h·classes + classes   h = 1280 (Large), 1024 (Small)

At width 1.0, d = 3 and 400 classes: Large 4,922,912, Small 2,058,000. With d = 1 the trainable ones are those of the
published picture networks: at 1000 classes 5,483,032 (Large) and 2,542,856 (Small).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import keras

from models.layers import ConvNorm3D, InvertedResidual3D

ClipShape = tuple[int, int, int, int]


class Size(str, Enum):
    LARGE = "large"
    SMALL = "small"


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the paper's table. ``kernel`` is of space; ``hard``: hard swish, else ReLU."""

    endpoint: str
    kernel: int
    expand: int
    filters: int
    gate: bool
    hard: bool
    stride: int = 1


LARGE: tuple[Stage, ...] = (
    Stage("bneck_1", 3, 16, 16, False, False),
    Stage("bneck_2", 3, 64, 24, False, False, 2),
    Stage("bneck_3", 3, 72, 24, False, False),
    Stage("bneck_4", 5, 72, 40, True, False, 2),
    Stage("bneck_5", 5, 120, 40, True, False),
    Stage("bneck_6", 5, 120, 40, True, False),
    Stage("bneck_7", 3, 240, 80, False, True, 2),
    Stage("bneck_8", 3, 200, 80, False, True),
    Stage("bneck_9", 3, 184, 80, False, True),
    Stage("bneck_10", 3, 184, 80, False, True),
    Stage("bneck_11", 3, 480, 112, True, True),
    Stage("bneck_12", 3, 672, 112, True, True),
    Stage("bneck_13", 5, 672, 160, True, True, 2),
    Stage("bneck_14", 5, 960, 160, True, True),
    Stage("bneck_15", 5, 960, 160, True, True),
)
SMALL: tuple[Stage, ...] = (
    Stage("bneck_1", 3, 16, 16, True, False, 2),
    Stage("bneck_2", 3, 72, 24, False, False, 2),
    Stage("bneck_3", 3, 88, 24, False, False),
    Stage("bneck_4", 5, 96, 40, True, True, 2),
    Stage("bneck_5", 5, 240, 40, True, True),
    Stage("bneck_6", 5, 240, 40, True, True),
    Stage("bneck_7", 5, 120, 48, True, True),
    Stage("bneck_8", 5, 144, 48, True, True),
    Stage("bneck_9", 5, 288, 96, True, True, 2),
    Stage("bneck_10", 5, 576, 96, True, True),
    Stage("bneck_11", 5, 576, 96, True, True),
)
STAGES: Mapping[Size, tuple[Stage, ...]] = {Size.LARGE: LARGE, Size.SMALL: SMALL}
STEM_FILTERS = 16
LAST_FILTERS: Mapping[Size, int] = {Size.LARGE: 960, Size.SMALL: 576}
HEAD_UNITS: Mapping[Size, int] = {Size.LARGE: 1280, Size.SMALL: 1024}
STEM, LAST, POOL, HEAD, LOGITS = "Conv_1", "Conv_2", "Pool", "Head", "Logits"
ENDPOINTS: Mapping[Size, tuple[str, ...]] = {
    size: (STEM, *(stage.endpoint for stage in stages), LAST, POOL, HEAD, LOGITS) for size, stages in STAGES.items()
}


@dataclass(frozen=True, slots=True)
class MobileNetConfig:
    """What to build. ``width`` scales every layer's channels, the head's too; ``time_kernel`` is odd."""

    num_classes: int
    clip_shape: ClipShape
    size: Size = Size.LARGE
    width: float = 1.0
    time_kernel: int = 3
    dropout: float = 0.2  # the published training's; inactive at inference

    def __post_init__(self) -> None:
        if self.num_classes < 1 or min(self.clip_shape) < 1:
            raise ValueError(f"expected classes and a clip of at least 1, got {self.num_classes} and {self.clip_shape}")
        if self.width <= 0:
            raise ValueError(f"width must be more than 0, got {self.width}")
        if self.time_kernel < 1 or self.time_kernel % 2 == 0:
            raise ValueError(f"time_kernel must be odd and at least 1, got {self.time_kernel}")


def rounded(channels: float) -> int:
    """→ the next multiple of 8, at least 8, and never less than nine tenths of ``channels``."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def make_mobilenet_v3_3d(num_classes: int, clip_shape: ClipShape, **options: Any) -> Any:
    """→ keras.Model: ``clip`` float (B, T, H, W, C) in [-1, 1] → logits float32 (B, num_classes).

    ``options`` are ``MobileNetConfig``'s; ``size`` may be a word. Raises ValueError for what it cannot have.
    """
    options = {**options, "size": Size(options.get("size", Size.LARGE))}
    return build_mobilenet(MobileNetConfig(num_classes, clip_shape, **options))


def build_mobilenet(config: MobileNetConfig) -> Any:
    """As ``make_mobilenet_v3_3d``."""
    clip = keras.Input(config.clip_shape, name="clip", dtype="float32")
    depth, width = config.time_kernel, config.width
    stem = rounded(STEM_FILTERS * width)
    x = ConvNorm3D(stem, (depth, 3, 3), (1, 2, 2), "hard_silu", name=STEM)(clip)
    for stage in STAGES[config.size]:
        x = _block(stage, config)(x)
    last = rounded(LAST_FILTERS[config.size] * width)
    x = ConvNorm3D(last, activation="hard_silu", name=LAST)(x)
    x = keras.layers.GlobalAveragePooling3D(data_format="channels_last", name=POOL)(x)
    head = rounded(HEAD_UNITS[config.size] * width)
    x = keras.layers.Dense(head, activation="hard_silu", kernel_initializer="he_normal", name=HEAD)(x)
    x = keras.layers.Dropout(config.dropout, name="Dropout")(x)
    logits = keras.layers.Dense(config.num_classes, dtype="float32", name=LOGITS)(x)
    return keras.Model(clip, logits, name=f"mobilenet_v3_3d_{config.size.value}")


def _block(stage: Stage, config: MobileNetConfig) -> Any:
    expand = rounded(stage.expand * config.width)
    return InvertedResidual3D(
        rounded(stage.filters * config.width),
        expand,
        (config.time_kernel, stage.kernel, stage.kernel),
        (stage.stride,) * 3,
        rounded(expand / 4) if stage.gate else 0,
        "hard_silu" if stage.hard else "relu",
        name=stage.endpoint,
    )
