"""Causal depthwise convolution over time, for whole clips and for a few frames at a time."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.depthwise_conv3d import grouped_is_better
from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class TemporalDepthwise(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Each channel and place has a kernel over this and the ``size`` - 1 frames before (Kondratyuk et al. 2021, 3.2).

    Frames before the first are zeros. In a stream they are ``past``: the last ``size`` - 1 inputs, which ``remembered``
    gives after each call, so that a clip cut anywhere gives what it gives as a whole. Grouped where ``DepthwiseConv3D``
    is, and for its reasons.

    Input and output: float (B, T, H, W, C), T known. ``past``: float (B, size - 1, H, W, C).
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size < 2:
            raise ValueError(f"size must be at least 2, got {size}")
        self.size = size

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(
            shape=(self.size, 1, input_shape[-1], 1),
            initializer=keras.initializers.RandomNormal(stddev=(2.0 / self.size) ** 0.5),
            name="kernel",
        )
        self.built = True

    def call(self, inputs: Any, past: Any = None) -> Any:
        frames, height, width, channels = inputs.shape[1:]
        joined = self._joined(inputs, past)
        kernel = keras.ops.cast(self.kernel, self.compute_dtype)
        if grouped_is_better():
            whole = keras.ops.reshape(kernel, (self.size, 1, 1, 1, channels))
            return keras.ops.conv(joined, whole, padding="valid", data_format="channels_last")
        flat = keras.ops.reshape(joined, (-1, frames + self.size - 1, height * width, channels))
        # A kernel of size × 1 on pictures that are T high and H·W wide: 2D operations are quick on every backend.
        y = keras.ops.depthwise_conv(flat, kernel, padding="valid", data_format="channels_last")
        return keras.ops.reshape(y, (-1, frames, height, width, channels))

    def remembered(self, inputs: Any, past: Any) -> Any:
        """→ ``past`` of the next call (B, size - 1, H, W, C)."""
        return keras.ops.concatenate([past, inputs], axis=1)[:, -(self.size - 1) :]

    def _joined(self, inputs: Any, past: Any) -> Any:
        """→ (B, size - 1 + T, H, W, C)."""
        if past is None:
            return keras.ops.pad(inputs, ((0, 0), (self.size - 1, 0), (0, 0), (0, 0), (0, 0)))
        return keras.ops.concatenate([past, inputs], axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}
