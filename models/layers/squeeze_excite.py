"""Squeeze-and-excite for video: learnt gates on channels, or on channels and time together."""

from __future__ import annotations

from enum import Enum
from typing import Any

import keras

from models.layers.unit3d import Shape


class GateAxes(str, Enum):
    """What one gate value covers."""

    CHANNEL = "channel"  # one gate a channel for the whole clip
    CHANNEL_TIME = "channel_time"  # one gate a channel and time step


@keras.saving.register_keras_serializable(package="actoscope")
class SqueezeExcite3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Squeeze-and-excite (Hu et al. 2018) on video features, starting as the identity.

    The features are averaged over space and time (``channel``) or over space only (``channel_time``), pass a
    bottleneck of ``C / ratio`` units, and become gates ``2·sigmoid(…)`` in 0..2. The last layer starts at zero, so
    every gate starts at ``2·sigmoid(0) = 1``: a pretrained network keeps its outputs when blocks are added to it.
    With ``channel_time`` the bottleneck looks at three neighbouring time steps, so that gates can follow change.

    Input and output: float (B, T, H, W, C).
    """

    def __init__(self, ratio: int = 16, axes: str = GateAxes.CHANNEL.value, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if ratio < 1:
            raise ValueError(f"ratio must be at least 1, got {ratio}")
        self.ratio = ratio
        self.axes = GateAxes(axes)
        self.time_reach = 3 if self.axes is GateAxes.CHANNEL_TIME else 1

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(f"the number of channels must be known, got input shape {input_shape}")
        hidden = max(1, channels // self.ratio)
        self.reduce = keras.layers.Conv1D(
            hidden,
            self.time_reach,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="reduce",
        )
        self.expand = keras.layers.Conv1D(
            channels,
            1,
            kernel_initializer="zeros",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="expand",
        )
        self.reduce.build((input_shape[0], None, channels))
        self.expand.build((input_shape[0], None, hidden))
        self.built = True

    def call(self, inputs: Any) -> Any:
        pooled = keras.ops.mean(inputs, axis=(2, 3))  # (B, T, C)
        if self.axes is GateAxes.CHANNEL:
            pooled = keras.ops.mean(pooled, axis=1, keepdims=True)  # (B, 1, C)
        gates = 2.0 * keras.ops.sigmoid(self.expand(self.reduce(pooled)))  # (B, T or 1, C)
        return inputs * keras.ops.expand_dims(gates, (2, 3))  # (B, T or 1, 1, 1, C)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.ratio, "axes": self.axes.value}
