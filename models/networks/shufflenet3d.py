"""ShuffleNetV2 for video: the published table with a third dimension, for processors without a graphics card.

Source: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design" (2018), table 5. The
third dimension follows Köpüklü et al., "Resource Efficient 3D Convolutional Neural Networks" (2019): 3×3×3 kernels, the
stem keeps the number of frames, and the pool and every stage halve time as well as space: 16 frames at 112² end as
1×4×4.

Parameters, with statistics of normalisation (4 a channel), d = ``time_kernel``, n = 9·d the kernel's positions, i the
input's channels of a stage, h half its output's, r its number of blocks:

    stem          3·n·24 + 4·24
    stage         first block: n·i + 4·i + i·h + 4·h  +  i·h + 4·h + n·h + 4·h + h² + 4·h
                  each of r - 1 others: h² + 4·h + n·h + 4·h + h² + 4·h
    last conv     2·h·l + 4·l                       l = 1024, or 2048 at width 2.0
    logits        l·classes + classes

At 400 classes and d = 3: 779,616 at width 0.5, 1,725,360 at 1.0, 2,980,320 at 1.5, 6,292,272 at 2.0. With d = 1 the
trainable ones are those of the published picture networks: 1,366,792, 2,278,604, 3,503,624 and 7,393,996 at 1000
classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from models.layers import ConvNorm3D, ShuffleBlock3D

ClipShape = tuple[int, int, int, int]
STEM_FILTERS = 24


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the paper's table: ``blocks`` units, the first with stride 2."""

    endpoint: str
    blocks: int


STAGES: tuple[Stage, ...] = (Stage("Stage2", 4), Stage("Stage3", 8), Stage("Stage4", 4))
# Output channels of the three stages and of the last convolution, by width: the paper's columns.
CHANNELS: Mapping[float, tuple[int, int, int, int]] = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
STEM, STEM_POOL, LAST, POOL, LOGITS = "Conv1", "MaxPool", "Conv5", "GlobalPool", "Logits"
ENDPOINTS: tuple[str, ...] = (
    STEM,
    STEM_POOL,
    *(f"{stage.endpoint}_{number}" for stage in STAGES for number in range(1, stage.blocks + 1)),
    LAST,
    POOL,
    LOGITS,
)


@dataclass(frozen=True, slots=True)
class ShuffleNetConfig:
    """What to build. ``width`` is one of the published; ``time_kernel`` is odd."""

    num_classes: int
    clip_shape: ClipShape
    width: float = 1.0
    time_kernel: int = 3
    dropout: float = 0.2  # Köpüklü et al.'s; inactive at inference

    def __post_init__(self) -> None:
        if self.num_classes < 1 or min(self.clip_shape) < 1:
            raise ValueError(f"expected classes and a clip of at least 1, got {self.num_classes} and {self.clip_shape}")
        if self.width not in CHANNELS:
            raise ValueError(f"width must be one of {', '.join(map(str, CHANNELS))}, got {self.width}")
        if self.time_kernel < 1 or self.time_kernel % 2 == 0:
            raise ValueError(f"time_kernel must be odd and at least 1, got {self.time_kernel}")


def make_shufflenet_v2_3d(num_classes: int, clip_shape: ClipShape, **options: Any) -> Any:
    """→ keras.Model: ``clip`` float (B, T, H, W, C) in [-1, 1] → logits float32 (B, num_classes).

    ``options`` are ``ShuffleNetConfig``'s. Raises ValueError for what it cannot have.
    """
    return build_shufflenet(ShuffleNetConfig(num_classes, clip_shape, **options))


def build_shufflenet(config: ShuffleNetConfig) -> Any:
    """As ``make_shufflenet_v2_3d``."""
    kernel = (config.time_kernel, 3, 3)
    *stage_filters, last_filters = CHANNELS[config.width]
    clip = keras.Input(config.clip_shape, name="clip", dtype="float32")
    x = ConvNorm3D(STEM_FILTERS, kernel, (1, 2, 2), name=STEM)(clip)
    pool = keras.layers.MaxPooling3D(kernel, (2, 2, 2), "same", data_format="channels_last", name=STEM_POOL)
    x = pool(x)
    for stage, filters in zip(STAGES, stage_filters, strict=True):
        for number in range(1, stage.blocks + 1):
            stride = 2 if number == 1 else 1
            x = ShuffleBlock3D(filters, stride, kernel, name=f"{stage.endpoint}_{number}")(x)
    x = ConvNorm3D(last_filters, name=LAST)(x)
    x = keras.layers.GlobalAveragePooling3D(data_format="channels_last", name=POOL)(x)
    x = keras.layers.Dropout(config.dropout, name="Dropout")(x)
    logits = keras.layers.Dense(config.num_classes, dtype="float32", name=LOGITS)(x)
    return keras.Model(clip, logits, name="shufflenet_v2_3d")
