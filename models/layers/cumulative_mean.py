"""Mean over space and over all frames so far, for whole clips and for a few frames at a time."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class CumulativeMean(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """The causal global average pool of Kondratyuk et al. 2021 (section 3.2): frame t gets the mean of frames 0 … t.

    In a stream ``mean`` is the last frame's output of the call before and ``seen`` the frames it covers. It is kept as
    a mean rather than a sum, and in float32 whatever the policy, so that it stays exact for hours.

    Input: float (B, T, H, W, C), T known; ``mean`` (B, C); ``seen`` int32 (B,). Output: float32 (B, T, C).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "autocast": False})

    def call(self, inputs: Any, mean: Any = None, seen: Any = None) -> Any:
        frames = inputs.shape[1]
        pictures = keras.ops.mean(keras.ops.cast(inputs, "float32"), axis=(2, 3))  # (B, T, C)
        total = keras.ops.cumsum(pictures, axis=1)
        counts = keras.ops.reshape(keras.ops.arange(1, frames + 1, dtype="float32"), (1, frames, 1))
        if mean is not None:
            before = keras.ops.reshape(keras.ops.cast(seen, "float32"), (-1, 1, 1))
            total = total + before * keras.ops.expand_dims(keras.ops.cast(mean, "float32"), 1)
            counts = counts + before
        return keras.ops.cast(total / counts, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], input_shape[1], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config()}
