"""Which frames of a zero-padded clip are pictures."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.frames import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class FrameMask(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """float (B, T, H, W, C) in [-1, 1] → bool (B, T), False for frames that are exactly 0 everywhere.

    No picture is: scaled from bytes, every value is an odd multiple of 1/255, so 0 lies between two of them.
    """

    def call(self, inputs: Any) -> Any:
        return keras.ops.max(keras.ops.abs(inputs), axis=(2, 3, 4)) > 0

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape[:2]

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(inputs.shape[:2], dtype="bool")
