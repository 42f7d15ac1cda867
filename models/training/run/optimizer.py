"""From a training's configuration to its optimiser with its learning rate."""

from __future__ import annotations

from typing import Any

import keras

from models.training.config import OptimizerKind, TrainConfig
from models.training.optimizers.layer_rates import LayerRates
from models.training.optimizers.lookahead import Lookahead
from models.training.optimizers.radam import RAdam
from models.training.run.networks import trainable
from models.training.run.schedules import PlannedRate

_KINDS = {
    OptimizerKind.ADAM: keras.optimizers.Adam,
    OptimizerKind.ADAMW: keras.optimizers.AdamW,
    OptimizerKind.RADAM: RAdam,
}


def build_optimizer(config: TrainConfig, steps: int, epoch: int = 0) -> Any:
    """``steps`` batches make an epoch; ``epoch`` of them (counted from 0) are done. Offsets and gates' biases are not
    decayed.
    """
    wanted = config.optimizer
    optimizer = _KINDS[wanted.kind](
        learning_rate=planned_rate(config, steps, epoch),
        weight_decay=wanted.weight_decay,
        global_clipnorm=wanted.clip_norm or None,
        gradient_accumulation_steps=wanted.accumulate if wanted.accumulate > 1 else None,
    )
    if wanted.output_rate != 1:
        optimizer = LayerRates(optimizer, dict.fromkeys(trainable(config).output_layers, wanted.output_rate))
    if wanted.lookahead:
        optimizer = Lookahead(optimizer, wanted.lookahead, wanted.lookahead_step)
    if wanted.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta"])
    return optimizer


def planned_rate(config: TrainConfig, steps: int, epoch: int = 0) -> PlannedRate:
    """The curve of the learning rate in updates, of which an epoch has ``steps`` over the batches accumulated."""
    updates = steps / config.optimizer.accumulate
    plan = config.schedule
    return PlannedRate(
        peak=config.optimizer.learning_rate,
        total=max(1, round(config.epochs * updates)),
        decay=plan.decay,
        warmup=round(plan.warmup_epochs * updates),
        step=(max(1, round(plan.step_epochs * updates)), plan.gamma),
        floor=plan.floor,
        first=int(epoch * updates),
    )
