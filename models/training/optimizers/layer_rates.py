"""Another learning rate for some layers: a new output layer has further to go than what was trained before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from models.training.optimizers.wrapped import WrappedOptimizer


@keras.saving.register_keras_serializable(package="actoscope")
class LayerRates(WrappedOptimizer):
    """``inner`` with its learning rate times ``factors[layer]`` for weights whose path begins with that layer's name.

    Weights of other layers learn at the rate of ``inner``. Weight decay goes by that rate for all of them.
    """

    def __init__(self, inner: Any, factors: Mapping[str, float], name: str = "layer_rates") -> None:
        super().__init__(inner, name)
        self.factors = dict(factors)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._rates = [self.factors.get(variable.path.split("/")[0], 1.0) for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one ``variable`` (any shape) by ``inner``."""
        factor = self._rates[self._get_variable_index(variable)]
        self.inner.update_step(gradient, variable, learning_rate * factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factors": self.factors}
