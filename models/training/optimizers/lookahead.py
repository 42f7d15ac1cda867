"""Lookahead: slow weights that follow any other optimiser's fast ones."""

from __future__ import annotations

from typing import Any

import keras

from models.training.optimizers.wrapped import WrappedOptimizer


@keras.saving.register_keras_serializable(package="actoscope")
class Lookahead(WrappedOptimizer):
    """Algorithm 1 of Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back" (NeurIPS 2019).

    ``inner`` moves the fast weights, which are the model's. After every ``sync_period`` (k) updates the slow weights
    go the share ``slow_step`` (α) towards them, and the fast ones continue from there. The slow weights start as the
    model's weights at the first update. Learning rate, weight decay, clipping and accumulation are those of ``inner``.
    """

    def __init__(self, inner: Any, sync_period: int = 5, slow_step: float = 0.5, name: str = "lookahead") -> None:
        if sync_period < 1 or not 0 < slow_step <= 1:
            raise ValueError(f"expected sync_period >= 1 and slow_step in (0, 1], got {sync_period} and {slow_step}")
        super().__init__(inner, name)
        self.sync_period, self.slow_step = sync_period, slow_step

    def build(self, variables: list[Any]) -> None:
        """One slow copy a weight beside the state of ``inner``."""
        if self.built:
            return
        super().build(variables)
        self._slow = self.add_optimizer_variables(variables, "slow")

    def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> None:
        """Before the first update the slow weights are taken."""
        ops = keras.ops
        fresh = ops.equal(self._iterations, 0)
        for variable in trainable_variables:
            slow = self._slow[self._get_variable_index(variable)]
            slow.assign(ops.where(fresh, ops.convert_to_tensor(variable), ops.convert_to_tensor(slow)))
        super()._backend_apply_gradients(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one ``variable`` (any shape) by ``inner``, and back towards the slow weights where it is time."""
        ops = keras.ops
        self.inner.update_step(gradient, variable, learning_rate)
        slow = self._slow[self._get_variable_index(variable)]
        sync = ops.equal((self.iterations + 1) % self.sync_period, 0)
        fast, behind = ops.convert_to_tensor(variable), ops.convert_to_tensor(slow)
        moved = behind + self.slow_step * (fast - behind)
        self.assign(slow, ops.where(sync, moved, behind))
        self.assign(variable, ops.where(sync, moved, fast))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sync_period": self.sync_period, "slow_step": self.slow_step}
