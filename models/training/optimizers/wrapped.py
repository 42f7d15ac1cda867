"""What optimisers share that work around another one."""

from __future__ import annotations

from typing import Any

import keras

_TAKEN_OVER = (
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "gradient_accumulation_steps",
)


class WrappedOptimizer(keras.optimizers.Optimizer):  # type: ignore[misc]  # keras ships no types
    """Takes learning rate, weight decay, clipping and accumulation from ``inner``, whose ``update_step`` it calls."""

    def __init__(self, inner: Any, name: str) -> None:
        rate = inner._learning_rate  # a schedule, or a variable that belongs to ``inner``
        rate = rate if callable(rate) else float(keras.ops.convert_to_numpy(rate))
        super().__init__(learning_rate=rate, name=name, **{key: getattr(inner, key) for key in _TAKEN_OVER})
        self.inner = inner

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        self.inner.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Any]:
        return [*self._variables, *self.inner.variables]

    def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> None:
        """``inner`` counts as we do: its bias corrections depend on it."""
        self._pass_count(self._iterations)
        super()._backend_apply_gradients(grads, trainable_variables)

    def _pass_count(self, iterations: Any) -> None:
        self.inner._iterations.assign(iterations)
        if isinstance(self.inner, WrappedOptimizer):
            self.inner._pass_count(iterations)

    def get_config(self) -> dict[str, Any]:
        return {"inner": keras.saving.serialize_keras_object(self.inner), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> WrappedOptimizer:
        inner = keras.saving.deserialize_keras_object(config["inner"], custom_objects=custom_objects)
        return cls(**{**config, "inner": inner})
