"""A small network that learns anew from part after part of the examples: compiled once, seconds a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.training.config import TrainConfig

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Learner:
    """``model``: (F,) → logits (C,). ``plan``: its optimiser, rate, epochs and batches, of which an epoch has
    ``batches``: as many as the largest part fills, since shapes are compiled once. ``whole``: an epoch is one compiled
    piece, which pays for dense layers and not for convolutions.
    """

    def __init__(self, model: Any, plan: TrainConfig, loss: Any, batches: int, whole: bool = True) -> None:
        import keras  # noqa: PLC0415 - takes seconds to import

        from models.training.run.optimizer import build_optimizer  # noqa: PLC0415 - as above

        self._keras, self._model, self._plan, self._batches = keras, model, plan, batches
        optimizer = build_optimizer(plan, batches)
        model.compile(optimizer, loss, jit_compile=whole, steps_per_execution=batches if whole else 1)
        optimizer.build(model.trainable_variables)
        self._state = [*model.variables, *optimizer.variables]
        self._start = [keras.ops.convert_to_numpy(variable) for variable in self._state]

    def learn(self, seen: Floats, targets: Ints, after: Callable[[int], None] | None = None) -> None:
        """Learn ``targets`` (N,) of ``seen`` (N, F) from the start. ``after``: called with every epoch that is done,
        from 0.
        """
        for variable, value in zip(self._state, self._start, strict=True):
            variable.assign(value)
        size = self._plan.batch_size
        rows = np.resize(np.arange(len(seen)), self._batches * size)  # whole batches: one shape
        wanted = np.eye(self._model.output_shape[-1], dtype=np.float32)[targets[rows]]
        told = [self._keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: after(epoch))] if after else []
        self._model.fit(seen[rows], wanted, size, self._plan.epochs, verbose=0, callbacks=told)

    def logits(self, asked: Floats) -> Floats:
        """(M, F) → (M, C), eagerly: nothing is compiled for its shape."""
        return np.asarray(self._model(asked, training=False), np.float32)


def batches_of(parts: int, plan: TrainConfig) -> int:
    """→ batches that hold ``parts`` examples."""
    return -(-parts // plan.batch_size)
