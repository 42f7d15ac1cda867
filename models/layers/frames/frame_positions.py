"""Tells attention where in the clip a picture lies."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.frames import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class FramePositions(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Adds a learnt vector for each place (Gehring et al. 2017, "Convolutional Sequence to Sequence Learning").

    Input and output: float (B, T, D). T must be known: every place has its own vector.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        _, frames, channels = input_shape
        if frames is None or channels is None:
            raise ValueError(f"the numbers of frames and channels must be known, got input shape {input_shape}")
        self.places = self.add_weight(shape=(frames, channels), initializer="uniform", name="places")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs + keras.ops.cast(self.places, inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
