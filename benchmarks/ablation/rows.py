"""The rows of the table: the base row, and what each of the others changes in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from models.data.batches.clip_window import WindowConfig
from models.training.config import (
    NEW_LAYERS,
    ClipInput,
    LossConfig,
    LossKind,
    Mode,
    NetworkConfig,
    OptimizerConfig,
    OptimizerKind,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)

BASE = TrainConfig(
    name="base",
    transfer=TransferConfig(cache_at="MaxPool3d_5a_2x2", draws=2, unfreeze=(Unfreeze(0, "Mixed_5b"),)),
    loss=LossConfig(label_smoothing=0.1, class_weights="root"),
    optimizer=OptimizerConfig(learning_rate=1e-4, weight_decay=1e-2, output_rate=10.0),
    epochs=10,
    batch_size=16,
    mixup=0.2,
    weight_average=0.7,
)


class How(str, Enum):
    """How a row comes to its answers."""

    TRAIN = "train"
    LOGISTIC = "logistic"  # regression on pooled features of the start weights
    SHORTER = "shorter"  # the base row's network sees the first pictures of a track only, as the service's first clips
    ADDED = "added"  # logits of two other rows


@dataclass(frozen=True, slots=True)
class Row:
    """One variant. ``wide``: on the data set of the wider margin. ``real``: pictures of a provisional clip.

    ``epochs``: at most so many, where an epoch is dear; 0 as all others.
    """

    config: TrainConfig = BASE
    how: How = How.TRAIN
    wide: bool = False
    real: int | None = None
    epochs: int = 0


def _transfer(train_from: str, cache_at: str = BASE.transfer.cache_at) -> TrainConfig:
    return replace(BASE, transfer=replace(BASE.transfer, cache_at=cache_at, unfreeze=(Unfreeze(0, train_from),)))


def _gates(kind: str) -> TrainConfig:
    return replace(BASE, network=NetworkConfig(kind=kind))


def _window(length: int, speed: float) -> TrainConfig:
    return replace(BASE, input=ClipInput(window=WindowConfig(length=length, speed=speed)))


RADAM = replace(BASE.optimizer, kind=OptimizerKind.RADAM, lookahead=6)
ROWS: Mapping[str, Row] = {  # in the order in which they run: what matters most comes first
    "base": Row(),
    "logistic": Row(how=How.LOGISTIC),
    "gates-off": Row(_gates("i3d")),
    "gates-time": Row(_gates("se_i3d_time")),
    "focal": Row(replace(BASE, loss=replace(BASE.loss, kind=LossKind.FOCAL))),
    "radam-lookahead": Row(replace(BASE, optimizer=RADAM)),
    "new-layers": Row(_transfer(NEW_LAYERS)),
    "from-5c": Row(_transfer("Mixed_5c")),
    "provisional-24": Row(how=How.SHORTER, real=24),
    "provisional-32": Row(how=How.SHORTER, real=32),
    "provisional-48": Row(how=How.SHORTER, real=48),
    "sparse-16": Row(_window(16, 4.0)),
    "dense-32": Row(_window(32, 1.0)),
    "margin-0.6": Row(wide=True),
    "flow": Row(replace(BASE, mode=Mode.FLOW)),
    "streams-added": Row(how=How.ADDED),
    "fused": Row(replace(BASE, mode=Mode.FUSE)),
    "from-4f": Row(_transfer("Mixed_4f", "Mixed_4e"), epochs=5),
}
TABLE: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (  # part, its variants with their rows
    ("Baseline", (("logistic regression, frozen pooled I3D features", "logistic"),)),
    ("Squeeze-and-excite", (("off", "gates-off"), ("channel", "base"), ("channel + time", "gates-time"))),
    ("Crop margin", (("0.2 of the box", "base"), ("0.6 of the box", "margin-0.6"))),
    (
        "Provisional buffer",
        (("24 crops", "provisional-24"), ("32", "provisional-32"), ("48", "provisional-48"), ("64 (full)", "base")),
    ),
    (
        "Stream",
        (
            ("RGB", "base"),
            ("flow (DIS)", "flow"),
            ("fused, trained together", "fused"),
            ("fused, trained apart, logits added", "streams-added"),
        ),
    ),
    ("Loss", (("cross-entropy", "base"), ("focal, γ = 2", "focal"))),
    ("Optimiser", (("AdamW", "base"), ("RAdam + Lookahead (6, 0.5)", "radam-lookahead"))),
    (
        "What learns",
        (
            ("new layers only (frozen)", "new-layers"),
            ("from Mixed_5c", "from-5c"),
            ("from Mixed_5b", "base"),
            ("from Mixed_4f (5 epochs)", "from-4f"),
        ),
    ),
    ("Pictures", (("16 sparse of 64", "sparse-16"), ("32 dense", "dense-32"), ("64 dense", "base"))),
)
