"""Rectified Adam: Adam that knows how little its second moment is worth in the first updates."""

from __future__ import annotations

import math
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="actoscope")
class RAdam(keras.optimizers.Optimizer):  # type: ignore[misc]  # keras ships no types
    """Algorithm 2 of Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (ICLR 2020).

    While the length of the approximated average ``ρ_t`` is at most 4, the update is momentum alone; above, Adam's
    update times the rectification ``r_t``. ``epsilon`` is added to the root of the corrected second moment, as in
    Keras' torch-compatible optimisers. ``weight_decay`` is decoupled (AdamW's), as in every Keras optimiser.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        name: str = "radam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        if not (0 < beta_1 < 1 and 0 < beta_2 < 1):
            raise ValueError(f"expected beta_1 and beta_2 between 0 and 1, got {beta_1} and {beta_2}")
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables: list[Any]) -> None:
        """Two moments a weight."""
        if self.built:
            return
        super().build(variables)
        self._first, self._second = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one ``variable`` (any shape) along its ``gradient`` of that shape."""
        ops = keras.ops
        index = self._get_variable_index(variable)
        first, second = self._first[index], self._second[index]
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        self.assign_add(first, (gradient - first) * (1.0 - self.beta_1))
        self.assign_add(second, (ops.square(gradient) - second) * (1.0 - self.beta_2))
        step = ops.cast(self.iterations + 1, variable.dtype)
        correction_1, correction_2 = _one_less_power(self.beta_1, step), _one_less_power(self.beta_2, step)
        rectified, factor = self._rectification(step, correction_2)
        root = ops.sqrt(second / correction_2) + self.epsilon
        scale = ops.where(rectified, factor / root, ops.ones_like(root))
        self.assign_sub(variable, rate * (first / correction_1) * scale)

    def _rectification(self, step: Any, correction_2: Any) -> tuple[Any, Any]:
        """→ whether ``ρ_t`` > 4, and ``r_t`` (1 where it is undefined)."""
        ops = keras.ops
        limit = 2.0 / (1.0 - self.beta_2) - 1.0  # ρ_∞
        length = limit - 2.0 * step * (1.0 - correction_2) / correction_2  # ρ_t
        rectified = length > 4.0
        usable = ops.where(rectified, length, ops.ones_like(length) * limit)
        ratio = ((usable - 4.0) * (usable - 2.0) * limit) / ((limit - 4.0) * (limit - 2.0) * usable)
        return rectified, ops.sqrt(ratio)

    def get_config(self) -> dict[str, Any]:
        config = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **config}


def _one_less_power(beta: float, step: Any) -> Any:
    """``1 - beta^step`` without the digits that float32 loses for beta near 1 and small steps."""
    return -keras.ops.expm1(step * math.log(beta))
