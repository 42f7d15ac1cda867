"""Frames as a batch of pictures, for networks that look at one picture at a time."""

from __future__ import annotations

import math
from typing import Any

import keras

from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class FoldTime(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """(B, T, …) → (B·T, …), frames of one clip next to each other; ``UnfoldTime`` is the way back."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.reshape(inputs, (-1, *inputs.shape[2:]))  # (B·T, …)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, frames, *rest = input_shape
        return (None if batch is None or frames is None else math.prod((batch, frames)), *rest)
