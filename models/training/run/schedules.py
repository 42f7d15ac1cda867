"""The learning rate over a training: warm-up, then constant, in steps, or along a cosine."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import keras


class Decay(str, Enum):
    """What the rate does after the warm-up."""

    CONSTANT = "constant"
    STEP = "step"  # times ``gamma`` after every ``step_size`` updates
    COSINE = "cosine"  # half a cosine from the peak to ``floor`` times the peak (Loshchilov & Hutter 2017)


@keras.saving.register_keras_serializable(package="actoscope")
class PlannedRate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # keras ships no types
    """Learning rate at an update of the weights, counted from 0.

    ``warmup`` updates rise in a line from ``peak / warmup`` to ``peak``. ``total`` updates end a cosine. ``first`` is
    the number of updates done before the optimiser that asks was made: a training that unfreezes layers makes a new
    optimiser and goes on along the same curve.
    """

    def __init__(
        self,
        peak: float,
        total: int,
        decay: str = Decay.COSINE.value,
        warmup: int = 0,
        step: tuple[int, float] = (1, 1.0),
        floor: float = 0.0,
        first: int = 0,
    ) -> None:
        """``step``: (step_size, gamma) of step decay."""
        super().__init__()
        if peak <= 0 or total < 1 or warmup < 0 or step[0] < 1:
            raise ValueError(f"expected peak > 0, total >= 1, warmup >= 0, got {peak}, {total}, {warmup}, step {step}")
        self.peak, self.total, self.warmup, self.floor, self.first = peak, total, warmup, floor, first
        self.decay = Decay(decay)
        self.step = (int(step[0]), float(step[1]))

    def __call__(self, step: Any) -> Any:
        """Update number (scalar tensor) → float32 scalar."""
        ops = keras.ops
        done = ops.cast(step, "float32") + float(self.first)
        rate = self.peak * self._factor(ops.maximum(done - self.warmup, 0.0))
        if self.warmup == 0:
            return rate
        return ops.where(done < self.warmup, self.peak * (done + 1.0) / self.warmup, rate)

    def _factor(self, after_warmup: Any) -> Any:
        ops = keras.ops
        if self.decay is Decay.STEP:
            size, gamma = self.step
            return ops.power(ops.cast(gamma, "float32"), ops.floor(after_warmup / size))
        if self.decay is Decay.COSINE:
            share = ops.minimum(after_warmup / max(1, self.total - self.warmup), 1.0)
            return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + ops.cos(math.pi * share))
        return ops.ones_like(after_warmup)

    def get_config(self) -> dict[str, Any]:
        names = ("peak", "total", "warmup", "step", "floor", "first")
        return {**{name: getattr(self, name) for name in names}, "decay": self.decay.value}
