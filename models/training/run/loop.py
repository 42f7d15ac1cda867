"""The epochs of one training: learn, measure, keep the best, save. Straight through, the same after a kill.

Whatever is drawn in an epoch (order, augmentation, mixup, dropout) depends on seed and epoch only, and everything that
carries over is in the checkpoint, so a resumed training follows the curve it would have followed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.training.config import ClipInput, LossKind, Mode, TrainConfig, Unfreeze
from models.training.data import Source, mix
from models.training.run.losses import Anchored, FocalLoss
from models.training.run.networks import trainable
from models.training.run.optimizer import build_optimizer
from models.training.run.scores import better, scores
from models.training.run.state import BEST_FILE, LAST_FILE, Arrays, Checkpoint, Row, load_checkpoint, save_checkpoint

Logits = NDArray[np.float32]  # (N, C)


@dataclass(frozen=True, slots=True)
class Network:
    """``model`` learns, from clips or cached features. ``streams`` are the complete networks that it is part of."""

    model: Any
    streams: Mapping[Mode, Any]


@dataclass(frozen=True, slots=True)
class Splits:
    """``val`` None, or ``keep_last``: nothing chooses the epoch, the last is kept. ``class_weights``: C factors."""

    train: Source
    val: Source | None
    class_weights: Sequence[float] | None
    keep_last: bool = False

    @property
    def choose(self) -> bool:
        return self.val is not None and not self.keep_last


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told. ``step``: (what, done, of how many) while it goes on. ``epoch``: all rows up to now. ``halts`` says
    whether the training is to halt after this batch.
    """

    step: Callable[[str, int, int], None]
    epoch: Callable[[Sequence[Row]], None]
    halts: Callable[[], bool] = lambda: False


class TrainingHalted(Exception):
    """It was asked for: the training has halted after ``epochs`` epochs and ``steps`` batches of the next. Its state
    lies in its folder.
    """

    def __init__(self, epochs: int, steps: int) -> None:
        super().__init__(f"halted after {epochs} epochs and {steps} batches")
        self.epochs = epochs
        self.steps = steps


def run_epochs(network: Network, splits: Splits, config: TrainConfig, folder: Path, watcher: Watcher) -> Checkpoint:
    """Train to the end from wherever ``folder`` is → the last state; ``network`` then holds the weights to keep.

    Raises TrainingError when ``folder`` belongs to another training, OSError where the disk fails, TrainingHalted.
    """
    steps = -(-len(splits.train.targets) // config.batch_size)
    keep_near_start(network.model, config)  # before a checkpoint's weights take their place
    state = load_checkpoint(folder / LAST_FILE, training_key(config, splits))
    state = state or Checkpoint(training_key(config, splits), 0, weights_of(network.model))
    _restore(network, splits, config, state, steps)
    while state.epochs < config.epochs and not state.stopped:
        if not state.steps and (
            any(row.epoch == state.epochs for row in config.transfer.unfreeze) or state.epochs == 0
        ):
            _compile(network, config, splits.class_weights, state.epochs, steps)
        try:
            row = _learn(network.model, splits.train, config, state, watcher)
        except TrainingHalted as halt:
            save_checkpoint(folder / LAST_FILE, _halted(state, network.model, halt.steps))
            raise
        average = _averaged(state, network.model, config.weight_average)
        row |= _measure(network.model, splits.val, average)
        state = _next(state, network.model, average, row, config, choose=splits.choose)
        if state.best_epoch == state.epochs:
            save_checkpoint(
                folder / BEST_FILE, replace(state, weights=average or state.weights, optimizer=(), average=())
            )
        save_checkpoint(folder / LAST_FILE, state)
        watcher.epoch(state.history)
        if state.epochs < config.epochs and not state.stopped and watcher.halts():
            raise TrainingHalted(state.epochs, 0)
    _keep_best(network.model, folder, state)
    return state


def predict(model: Any, source: Source) -> Logits:
    """→ (N, C) logits of plain clips in their order."""
    parts = [np.asarray(model.predict_on_batch(inputs), np.float32) for inputs, _ in source.batches(None)]
    return np.concatenate(parts)


def keep_near_start(model: Any, config: TrainConfig) -> None:
    """With ``loss.anchor`` every weight costs its distance from what it is now; layers that are frozen cost nothing."""
    if config.loss.anchor:
        for variable in model.weights:
            small = config.loss.l2 if variable.path.endswith("kernel") else 0.0
            start = keras.ops.convert_to_numpy(variable)
            variable.regularizer = Anchored(small, config.loss.anchor, start) if start.dtype.kind == "f" else None


def training_key(config: TrainConfig, splits: Splits) -> str:
    """Names a training: all of its configuration but what people write about it, and the classes of its clips."""
    targets = [tuple(source.targets) if source else () for source in (splits.train, splits.val)]
    return config_key(config, f"{targets}")


def config_key(config: TrainConfig, of: str) -> str:
    """Names a training of the clips that ``of`` stands for.

    What ``repr`` leaves out is younger than some trainings, and counts where it says something.
    """
    bare = replace(config, description="", dataset="", card=type(config.card)())
    parts = [f"{bare!r} {of}"]
    if config.network.options:
        parts.append(f"{sorted(config.network.options.items())}")
    if config.network.depths:
        parts.append(f"depths {config.network.depths}")
    if not config.input.repeat:
        parts.append("once")
    if config.distil is not None:
        parts.append(f"{config.distil!r}")
        if config.distil.trust is not None:
            parts.append(f"{config.distil.trust!r}")
    if config.loss.anchor:
        parts.append(f"anchor {config.loss.anchor}")
    if (config.input.width, config.input.hop) != (ClipInput().width, ClipInput().hop):
        parts.append(f"{config.input.width} {config.input.hop}")
    if config.input.shortest:
        parts.append(f"from {config.input.shortest} pictures on")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def weights_of(model: Any) -> Arrays:
    """Every weight and statistic in Keras' order, without the states of random generators."""
    return tuple(keras.ops.convert_to_numpy(weight) for weight in _weights(model))


def set_weights(model: Any, arrays: Sequence[NDArray[Any]]) -> None:
    for weight, array in zip(_weights(model), arrays, strict=True):
        weight.assign(array)


def _weights(model: Any) -> list[Any]:
    return [weight for weight in model.weights if "seed_generator" not in weight.path]


def _restore(network: Network, splits: Splits, config: TrainConfig, state: Checkpoint, steps: int) -> None:
    """Weights and the optimiser's state as they were after ``state.epochs`` epochs."""
    set_weights(network.model, state.weights)
    if state.epochs == 0 and state.steps == 0:
        return
    epoch = state.epochs if state.steps else state.epochs - 1
    _compile(network, config, splits.class_weights, _stage(config, epoch).epoch, steps)
    for variable, array in zip(network.model.optimizer.variables, state.optimizer, strict=True):
        variable.assign(array)


def _stage(config: TrainConfig, epoch: int) -> Unfreeze:
    """What learns in ``epoch``, counted from 0."""
    return max((row for row in config.transfer.unfreeze if row.epoch <= epoch), key=lambda row: row.epoch)


def _compile(
    network: Network, config: TrainConfig, class_weights: Sequence[float] | None, epoch: int, steps: int
) -> None:
    """Freeze what ``epoch`` freezes, and make a new optimiser for the rest, on the same curve of the learning rate."""
    stage = _stage(config, epoch)
    for stream in network.streams.values():
        trainable(config).set_trainable(stream, stage.train_from)
    for variable in network.model.trainable_variables:
        if variable.path.endswith("kernel") and not config.loss.anchor:
            variable.regularizer = keras.regularizers.L2(config.loss.l2) if config.loss.l2 else None
    gamma = config.loss.focal_gamma if config.loss.kind is LossKind.FOCAL else 0.0
    loss = FocalLoss(gamma, config.loss.label_smoothing, class_weights)
    optimizer = build_optimizer(config, steps, epoch)
    jit = keras.backend.backend() == "jax"  # XLA's 3-D convolutions are slow on CPUs, and jax knows nothing else
    network.model.compile(optimizer=optimizer, loss=loss, jit_compile=jit)
    network.model.optimizer.build(network.model.trainable_variables)


def _learn(model: Any, source: Source, config: TrainConfig, state: Checkpoint, watcher: Watcher) -> dict[str, float]:
    """One pass over the training clips, from where it was halted → ``loss`` (with weights of classes and L2) and the
    learning rate at its end. Raises TrainingHalted.
    """
    epoch = state.epochs
    _seed_dropout(model, config.seed, epoch)
    rng = np.random.default_rng([config.seed, epoch, 1])
    total = -(-len(source.targets) // config.batch_size)
    model.reset_metrics()
    if state.steps:
        _put_back(model, state)
    figures: dict[str, Any] = {}
    for step, batch in enumerate(source.batches(epoch)):
        inputs, targets = mix(batch, config.mixup, rng) if config.mixup else batch  # those that are done draw, too
        if step < state.steps:
            continue
        figures = model.train_on_batch(inputs, targets, return_dict=True)
        watcher.step(f"epoch {epoch + 1} of {config.epochs}", step + 1, total)
        if step + 1 < total and watcher.halts():
            raise TrainingHalted(epoch, step + 1)
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    return {"epoch": epoch + 1, "loss": float(figures["loss"]), "learning_rate": rate}


def _moving(model: Any) -> list[Any]:
    """What moves in an epoch besides the weights and the optimiser: random generators, and means of figures."""
    generators = [variable for variable in model.variables if "seed_generator" in variable.path]
    return [*generators, *(variable for metric in model.metrics for variable in metric.variables)]


def _put_back(model: Any, state: Checkpoint) -> None:
    """What had moved when the epoch was halted."""
    for variable, array in zip(_moving(model), state.moving, strict=True):
        variable.assign(array)


def _halted(state: Checkpoint, model: Any, steps: int) -> Checkpoint:
    """The state after ``steps`` batches of an epoch."""
    return replace(
        state,
        weights=weights_of(model),
        optimizer=tuple(keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables),
        steps=steps,
        moving=tuple(keras.ops.convert_to_numpy(variable) for variable in _moving(model)),
    )


def _seed_dropout(model: Any, seed: int, epoch: int) -> None:
    for variable in model.variables:
        if "seed_generator" in variable.path:
            variable.assign(np.array([seed, epoch], np.uint32))


def _averaged(state: Checkpoint, model: Any, decay: float) -> Arrays:
    """The moving average of the weights after this epoch; in the first epochs their plain mean."""
    if not decay:
        return ()
    now = weights_of(model)
    if not state.average:
        return now
    share = min(decay, state.epochs / (state.epochs + 1))
    return tuple(
        (old * share + new * (1 - share)).astype(new.dtype) for old, new in zip(state.average, now, strict=True)
    )


def _measure(model: Any, source: Source | None, average: Arrays) -> dict[str, float]:
    if source is None:
        return {}
    learnt = weights_of(model)
    if average:
        set_weights(model, average)
    figures = scores(predict(model, source), source.targets)
    if average:
        set_weights(model, learnt)
    return {f"val_{name}": value for name, value in figures.items()}


def _next(state: Checkpoint, model: Any, average: Arrays, row: Row, config: TrainConfig, *, choose: bool) -> Checkpoint:
    epoch = state.epochs + 1
    best = state.history[state.best_epoch - 1][config.monitor] if choose and state.best_epoch else None
    best_epoch = epoch if not choose or better(row[config.monitor], best, config.monitor) else state.best_epoch
    return Checkpoint(
        key=state.key,
        epochs=epoch,
        weights=weights_of(model),
        optimizer=tuple(keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables),
        average=average,
        history=(*state.history, row),
        best_epoch=best_epoch,
        stopped=bool(config.patience) and epoch - best_epoch >= config.patience,
    )


def _keep_best(model: Any, folder: Path, state: Checkpoint) -> None:
    best = load_checkpoint(folder / BEST_FILE, state.key)
    if best is not None:
        set_weights(model, best.weights)
