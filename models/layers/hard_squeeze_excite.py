"""The squeeze-and-excite of MobileNetV3, over all of a clip."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class HardSqueezeExcite3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Gates on channels as in Howard et al. 2019 (section 5.3): mean over the clip, ReLU bottleneck, hard sigmoid.

    Unlike ``SqueezeExcite3D`` it is meant for networks trained with it from the start.

    Input and output: float (B, T, H, W, C).
    """

    def __init__(self, hidden: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if hidden < 1:
            raise ValueError(f"hidden must be at least 1, got {hidden}")
        self.hidden = hidden
        self.reduce = keras.layers.Dense(
            hidden, activation="relu", kernel_initializer="he_normal", dtype=self.dtype_policy, name="reduce"
        )

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        self.expand = keras.layers.Dense(channels, activation="hard_sigmoid", dtype=self.dtype_policy, name="expand")
        self.reduce.build((input_shape[0], channels))
        self.expand.build((input_shape[0], self.hidden))
        self.built = True

    def call(self, inputs: Any) -> Any:
        gates = self.expand(self.reduce(keras.ops.mean(inputs, axis=(1, 2, 3))))  # (B, C)
        return inputs * keras.ops.expand_dims(gates, (1, 2, 3))  # (B, 1, 1, 1, C)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden}
