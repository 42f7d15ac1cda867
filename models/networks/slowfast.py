"""SlowFast with a ResNet-50 in each pathway: few frames with many channels, many frames with few.

Source: Feichtenhofer, Fan, Malik & He, "SlowFast Networks for Video Recognition" (2019, arXiv:1812.03982), table 1,
section 3 (lateral connections by time-strided convolutions), and the published configurations
(github.com/facebookresearch/SlowFast, ``SLOWFAST_8x8_R50.yaml``, ``SLOWFAST_4x16_R50.yaml``).

A clip of T frames is sampled inside the graph: the fast pathway takes every ``T / fast_frames``-th frame, the slow one
every ``alpha``-th of these; both start at frame 0, and frame k of the slow pathway lies in the middle of the frames
that the lateral connection brings to it.

========= ====== ==================== ========= ==================== ==================== ===================
published clip   ``fast_frames``      ``alpha`` slow frames          parameters           GMACs at 256²
========= ====== ==================== ========= ==================== ==================== ===================
8×8, R50  64     32 (every second)    4         8 (every eighth)     34.5 M (34.48 here)  65.7 (65.3 here)
4×16, R50 64     32 (every second)    8         4 (every sixteenth)  34.4 M (34.48 here)  36.1 (36.1 here)
========= ====== ==================== ========= ==================== ==================== ===================

The paper's α = 8 is that of its 4×16 network. At 8×8 the published configuration has 32 fast frames, which is α = 4,
and only so come 65.7 thousand million multiply-adds: this is the default here, ``alpha=8`` the other row. That
configuration's lateral connections span 7 frames where the paper says 5; ``lateral_reach=7`` gives 65.7 exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from models.layers import Bottleneck3D, FrameStep
from models.layers.bottleneck3d import EPSILON, MOMENTUM

SLOW_WIDTH = 64  # channels of the slow pathway's first convolution
FUSION_WIDTH = 2  # a lateral connection has twice the channels it comes from
LOGITS, PREDICTIONS = "Logits", "Predictions"


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the paper's table 1: ``blocks`` bottlenecks of ``inner`` and ``filters`` channels in the slow pathway.

    The fast pathway has β of the channels. ``slow_reach`` and ``fast_reach`` are the frames that the first convolution
    of a block spans. ``stride`` is that of the first block over height and width.
    """

    endpoint: str
    blocks: int
    inner: int
    filters: int
    slow_reach: int
    fast_reach: int
    stride: int


STEM = "pool1"
STAGES: tuple[Stage, ...] = (
    Stage("res2", 3, 64, 256, 1, 3, 1),
    Stage("res3", 4, 128, 512, 1, 3, 2),
    Stage("res4", 6, 256, 1024, 3, 3, 2),
    Stage("res5", 3, 512, 2048, 3, 3, 2),
)
LATERALS: tuple[str, ...] = (STEM, *(stage.endpoint for stage in STAGES[:-1]))  # behind these, fast joins slow
ENDPOINTS: tuple[str, ...] = (
    *(f"{pathway}_{stage}" for stage in (STEM, *(row.endpoint for row in STAGES)) for pathway in ("slow", "fast")),
    LOGITS,
    PREDICTIONS,
)


@dataclass(frozen=True, slots=True)
class SlowFastConfig:
    """What to build. ``fast_frames`` None takes 32, or the clip's frames where it has fewer.

    ``beta`` is the fast pathway's share of the channels. ``lateral_reach``: fast frames that a lateral connection sees
    (5 in the paper; the published 8×8 configuration has 7).
    """

    num_classes: int = 400
    frames: int = 32
    size_hw: tuple[int, int] = (224, 224)
    fast_frames: int | None = None
    alpha: int = 4
    beta: float = 1 / 8
    lateral_reach: int = 5
    dropout: float = 0.5
    channels: int = 3

    def __post_init__(self) -> None:
        if self.num_classes < 1 or self.channels < 1 or min(self.size_hw) < 32:
            raise ValueError(
                "expected num_classes and channels >= 1 and pictures from 32×32 on, got "
                f"{self.num_classes}, {self.channels} and {self.size_hw}"
            )
        fast = self.fast
        if self.alpha < 1 or fast < self.alpha or fast % self.alpha or self.frames % fast:
            raise ValueError(
                "the clip's frames must be a multiple of fast_frames, and those of alpha; got "
                f"{self.frames} frames, fast_frames {fast}, alpha {self.alpha}"
            )
        if not 0 < self.beta <= 1 or (SLOW_WIDTH * self.beta) % 1 or self.lateral_reach < 1:
            raise ValueError(
                f"expected a beta of 1/64 to 1 that divides {SLOW_WIDTH} channels whole and lateral_reach >= 1, "
                f"got {self.beta} and {self.lateral_reach}"
            )

    @property
    def fast(self) -> int:
        """Frames of the fast pathway."""
        return min(32, self.frames) if self.fast_frames is None else self.fast_frames


def make_slowfast(num_classes: int, clip_shape: tuple[int, int, int, int], **options: Any) -> Any:
    """SlowFast R50 for clips of (T, H, W, channels); ``options`` are ``SlowFastConfig``'s."""
    frames, height, width, channels = clip_shape
    given: dict[str, Any] = {"frames": frames, "size_hw": (height, width), "channels": channels, **options}
    return build_slowfast(SlowFastConfig(num_classes=num_classes, **given))


def build_slowfast(config: SlowFastConfig = SlowFastConfig(), final_endpoint: str = LOGITS) -> Any:
    """→ keras.Model: float (B, T, H, W, 3) RGB in [-1, 1] → the named endpoint.

    ``Logits`` is float32 (B, num_classes), ``Predictions`` its softmax; ``slow_…`` and ``fast_…`` are the features of a
    stage, before what the lateral connection adds. Raises ValueError for an unknown endpoint.
    """
    if final_endpoint not in ENDPOINTS:
        raise ValueError(f"final_endpoint must be one of {', '.join(ENDPOINTS)}; got {final_endpoint!r}")
    clip = keras.Input((config.frames, *config.size_hw, config.channels), name="clip", dtype="float32")
    fast = FrameStep(config.frames // config.fast, name="fast_frames")(clip)
    slow = FrameStep(config.alpha, name="slow_frames")(fast)
    slow, fast = _stem("slow", 1, SLOW_WIDTH, slow), _stem("fast", 5, int(SLOW_WIDTH * config.beta), fast)
    ends = {f"slow_{STEM}": slow, f"fast_{STEM}": fast}
    slow = _lateral(STEM, config, slow, fast)
    for stage in STAGES:
        slow = _residual(f"slow_{stage.endpoint}", stage, stage.slow_reach, 1, slow)
        fast = _residual(f"fast_{stage.endpoint}", stage, stage.fast_reach, config.beta, fast)
        ends |= {f"slow_{stage.endpoint}": slow, f"fast_{stage.endpoint}": fast}
        if stage.endpoint in LATERALS:
            slow = _lateral(stage.endpoint, config, slow, fast)
    ends[LOGITS] = _logits(config, slow, fast)
    if final_endpoint == PREDICTIONS:
        ends[PREDICTIONS] = keras.layers.Softmax(dtype="float32", name=PREDICTIONS)(ends[LOGITS])
    return keras.Model(clip, ends[final_endpoint], name="slowfast")


def _stem(pathway: str, time_reach: int, filters: int, x: Any) -> Any:
    """(B, T, H, W, C) → (B, T, H/4, W/4, filters)."""
    x = _convolved(f"{pathway}_conv1", filters, (time_reach, 7, 7), (1, 2, 2), x)
    pool = keras.layers.MaxPooling3D(
        (1, 3, 3), (1, 2, 2), "same", data_format="channels_last", name=f"{pathway}_{STEM}"
    )
    return pool(x)


def _residual(name: str, stage: Stage, time_reach: int, beta: float, x: Any) -> Any:
    """(B, T, H, W, C) → (B, T, H/stride, W/stride, beta · filters); the last block bears the endpoint's name."""
    for block in range(stage.blocks):
        x = Bottleneck3D(
            int(stage.inner * beta),
            int(stage.filters * beta),
            time_reach,
            stage.stride if block == 0 else 1,
            name=name if block == stage.blocks - 1 else f"{name}_{block}",
        )(x)
    return x


def _lateral(stage: str, config: SlowFastConfig, slow: Any, fast: Any) -> Any:
    """slow (B, T, H, W, C) and fast (B, alpha·T, H, W, c) → (B, T, H, W, C + 2c)."""
    width = FUSION_WIDTH * fast.shape[-1]
    size, strides = (config.lateral_reach, 1, 1), (config.alpha, 1, 1)
    joined = _convolved(f"lateral_{stage}", width, size, strides, fast)
    return keras.layers.Concatenate(axis=-1, name=f"joined_{stage}")([slow, joined])


def _convolved(name: str, filters: int, size: tuple[int, int, int], strides: tuple[int, int, int], x: Any) -> Any:
    x = keras.layers.Conv3D(
        filters,
        size,
        strides,
        "same",
        use_bias=False,
        data_format="channels_last",
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _logits(config: SlowFastConfig, slow: Any, fast: Any) -> Any:
    """The last features of both pathways → float32 (B, num_classes)."""
    pooled = [
        keras.layers.GlobalAveragePooling3D(data_format="channels_last", name=f"{pathway}_pool")(x)
        for pathway, x in (("slow", slow), ("fast", fast))
    ]
    x = keras.layers.Concatenate(axis=-1, name="pathways")(pooled)
    x = keras.layers.Dropout(config.dropout, name="Dropout")(x)
    return keras.layers.Dense(config.num_classes, dtype="float32", name=LOGITS)(x)
