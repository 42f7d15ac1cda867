"""How a version learns on: ``quick`` the output alone on frozen features, ``full`` the last blocks too.

Both start from the version that is served and keep its classes. Without the base data nothing else says what the
network knew before: then a version stays near its parent (``LossConfig.anchor``), and a part of what it learns of each
clip is what its parent says of it (learning without forgetting, Li & Hoiem 2016).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.data.batches.clip_window import WindowConfig
from models.errors import TrainingError
from models.training.config import (
    ALL_LAYERS,
    NEW_LAYERS,
    ClipInput,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)
from models.training.kinds.saved import SAVED
from models.weights.cards import ModelCard

QUICK, FULL = "quick", "full"
NAMES = (QUICK, FULL)
ANCHOR, SAID = 0.01, 0.2  # without the base data
QUICK_BATCH, QUICK_STEPS, QUICK_EPOCHS = 16, 600, (30, 100)
# Where features are kept and what learns behind them, by kind of network; of others everything learns, from clips.
_BLOCKS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("i3d", "se_i3d", "se_i3d_time"), ("MaxPool3d_5a_2x2", "Mixed_5b")),
    "i3d_light": ("MaxPool3d_4a_3x3", "Mixed_4b"),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """``said``: the share of what its parent says in what is learnt of each clip."""

    config: TrainConfig
    said: float = 0.0

    def sha256(self) -> str:
        bare = replace(self.config, network=replace(self.config.network, init=""), name="")
        text = f"{bare!r} {self.config.loss.anchor} {self.said}"
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Clips:
    """What is learnt from: how many, at which rate, and whether the base data is among them."""

    count: int
    rate_hz: float
    with_base: bool


def recipe(name: str, card: ModelCard, clips: Clips, output: str) -> Recipe:
    """``card``: of the parent. ``output``: the layer before its logits.

    Raises TrainingError for a name that is none of ``NAMES``.
    """
    if name not in NAMES:
        raise TrainingError(f"expected one of the configurations {', '.join(NAMES)}, got {name!r}")
    config = TrainConfig(
        name=f"{card.name}-{name}",
        network=NetworkConfig(kind=SAVED, init=str(card.folder)),
        input=ClipInput(
            window=WindowConfig(card.input.frames, speed=clips.rate_hz / card.input.rate_hz), size=card.input.height
        ),
        loss=LossConfig(label_smoothing=0.05, class_weights="root", anchor=0.0 if clips.with_base else ANCHOR),
        refit_on="train+val",
    )
    config = _quick(config, clips.count, output) if name == QUICK else _full(config, card)
    return Recipe(config, said=0.0 if clips.with_base else SAID)


def _quick(config: TrainConfig, count: int, output: str) -> TrainConfig:
    """Few clips take more epochs: an output of some thousand weights needs its steps."""
    low, high = QUICK_EPOCHS
    epochs = max(low, min(high, QUICK_STEPS * QUICK_BATCH // max(1, count)))
    return replace(
        config,
        transfer=TransferConfig(cache_at=output, draws=4, unfreeze=(Unfreeze(0, NEW_LAYERS),)),
        optimizer=OptimizerConfig(learning_rate=5e-3, weight_decay=1e-2),
        epochs=epochs,
        batch_size=QUICK_BATCH,
        weight_average=0.7,
    )


def _full(config: TrainConfig, card: ModelCard) -> TrainConfig:
    cache, first = _BLOCKS.get(card.kind, ("", ALL_LAYERS))
    return replace(
        config,
        transfer=TransferConfig(cache_at=cache, draws=4 if cache else 1, unfreeze=(Unfreeze(0, first),)),
        optimizer=OptimizerConfig(learning_rate=5e-5, weight_decay=1e-2),
        epochs=12,
        batch_size=16,
        mixup=0.2,
        weight_average=0.7,
    )
