"""MoViNet-A0 with causal operations: one network for whole clips and, with the same weights, for endless streams.

Source: Kondratyuk et al., "MoViNets: Mobile Video Networks for Efficient Video Recognition" (2021), table of A0 in the
appendix and section 3.2 on stream buffers. As in the authors' published stream networks (tensorflow/models,
official/projects/movinet, ``conv_type`` 2plus1d) every convolution deeper than one frame is split into one of space and
a causal one of time, each with normalisation and activation, and swish and sigmoid are the hard ones.
``models/networks/movinet_stream.py`` runs it frame by frame.

Parameters, with statistics of normalisation (4 a channel); of a layer t and k are the kernel in time and space, i and o
the input's and output's channels, e the expanded ones, g = rounded e/4 the units of its gate:

    stem         3·9·8 + 4·8
    layer        i·e + 4·e + k²·e + 4·e + [t·e + 4·e where t > 1] + 2·e·g + g + e + e·o + 4·o
                 + [i·o + 4·o where it halves or i ≠ o]
    head         104·480 + 4·480 + 480·2048 + 2048 + 2048·classes + classes

At 600 classes: 3,093,784, of which 3,075,832 are trained; published are 3.1 M. Cost at 50×172²: 2.39 GMACs; the
published 2.7 are of unsplit kernels, which would make it 2.65 (and 3.11 M parameters). With ``own_frame`` gates read
the frame's own mean beside the cumulative one, as in the authors' networks since July 2021 (``se_type`` 2plus3d):
3,765,968 parameters, 2.43 GMACs. Against the authors' code it lacks the 15 factors ("rezero", one a layer) by which
they scale what a layer adds: converted weights would put them into the layer's last normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from models.layers import ConvNorm3D, CumulativeMean, MovinetBlock

ClipShape = tuple[int, int, int, int]
Kernel = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Stage:
    """A block of the table: ``filters`` of all its layers; of each layer the expanded channels and the kernel.

    The first layer has ``stride`` in space; time is never strided.
    """

    endpoint: str
    filters: int
    stride: int
    layers: tuple[tuple[int, Kernel], ...]


K133, K155, K333, K533 = (1, 3, 3), (1, 5, 5), (3, 3, 3), (5, 3, 3)
STAGES: tuple[Stage, ...] = (
    Stage("block2", 8, 2, ((24, K155),)),
    Stage("block3", 32, 2, ((80, K333), (80, K333), (80, K333))),
    Stage("block4", 56, 2, ((184, K533), (112, K333), (184, K333))),
    Stage("block5", 56, 1, ((184, K533), (184, K333), (184, K333), (184, K333))),
    Stage("block6", 104, 2, ((384, K533), (280, K155), (280, K155), (344, K155))),
)
STEM_FILTERS, PROJECTED, HEAD_UNITS = 8, 480, 2048
GATE_RATIO = 0.25
STEM, PROJECT, POOL, LAST_FRAME, HEAD, DROPOUT, LOGITS = (
    "conv1",
    "conv7",
    "pool8",
    "last_frame",
    "dense9",
    "dropout",
    "Logits",
)
BLOCKS: tuple[str, ...] = tuple(
    f"{stage.endpoint}_{number}" for stage in STAGES for number in range(1, len(stage.layers) + 1)
)
ENDPOINTS: tuple[str, ...] = (STEM, *BLOCKS, PROJECT, POOL, HEAD, LOGITS)


@dataclass(frozen=True, slots=True)
class MovinetConfig:
    """What to build. ``drop`` is stochastic depth's rate in the last block, rising evenly from the first.

    ``own_frame``: gates read the frame's own mean beside the cumulative one, as in the authors' later networks.
    """

    num_classes: int
    clip_shape: ClipShape
    dropout: float = 0.2  # the published training's, as ``drop``; inactive at inference
    drop: float = 0.2
    own_frame: bool = False

    def __post_init__(self) -> None:
        if self.num_classes < 1 or min(self.clip_shape) < 1:
            raise ValueError(f"expected classes and a clip of at least 1, got {self.num_classes} and {self.clip_shape}")
        if not (0 <= self.dropout < 1 and 0 <= self.drop < 1):
            raise ValueError(f"dropout and drop must be in 0..1, got {self.dropout} and {self.drop}")


def gate_units(inputs: int) -> int:
    """→ units of a gate's bottleneck that reads ``inputs`` values: a quarter of them, to a multiple of 8."""
    wanted = GATE_RATIO * inputs
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest


def make_movinet_a0(num_classes: int, clip_shape: ClipShape, **options: Any) -> Any:
    """→ keras.Model: ``clip`` float (B, T, H, W, C) in [-1, 1] → logits float32 (B, num_classes) after the last frame.

    ``options`` are ``MovinetConfig``'s. Raises ValueError for what it cannot have.
    """
    return build_movinet(MovinetConfig(num_classes, clip_shape, **options))


def build_movinet(config: MovinetConfig) -> Any:
    """As ``make_movinet_a0``."""
    clip = keras.Input(config.clip_shape, name="clip", dtype="float32")
    x = ConvNorm3D(STEM_FILTERS, K133, (1, 2, 2), "hard_silu", name=STEM)(clip)
    for block in _blocks(config):
        x = block(x)
    x = ConvNorm3D(PROJECTED, activation="hard_silu", name=PROJECT)(x)
    x = CumulativeMean(dtype="float32", name=POOL)(x)  # (B, T, 480)
    x = keras.layers.Cropping1D((config.clip_shape[0] - 1, 0), name=LAST_FRAME)(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(HEAD_UNITS, activation="hard_silu", kernel_initializer="he_normal", name=HEAD)(x)
    x = keras.layers.Dropout(config.dropout, name=DROPOUT)(x)
    logits = keras.layers.Dense(config.num_classes, dtype="float32", name=LOGITS)(x)
    return keras.Model(clip, logits, name="movinet_a0")


def _blocks(config: MovinetConfig) -> list[Any]:
    """→ one layer a row and number, in order."""
    blocks: list[Any] = []
    for stage in STAGES:
        for number, (expand, kernel) in enumerate(stage.layers):
            blocks.append(
                MovinetBlock(
                    stage.filters,
                    expand,
                    kernel,
                    stage.stride if number == 0 else 1,
                    gate_units((1 + config.own_frame) * expand),
                    config.own_frame,
                    drop=config.drop * (len(blocks) + 1) / len(BLOCKS),
                    name=BLOCKS[len(blocks)],
                )
            )
    return blocks
