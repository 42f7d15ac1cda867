"""The second half of a transformer's block: each picture's features, by themselves."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.frames import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class FeedForward(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Two dense layers with GELU between (Vaswani et al. 2017, section 3.3), normalised before, added to the input.

    Input and output: float (…, D); ``width``: nodes between the two layers.
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        self.width = width
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(f"the number of channels must be known, got input shape {input_shape}")
        self.norm = keras.layers.LayerNormalization(dtype=self.dtype_policy, name="norm")
        self.inner = keras.layers.Dense(self.width, activation="gelu", dtype=self.dtype_policy, name="inner")
        self.out = keras.layers.Dense(channels, dtype=self.dtype_policy, name="out")
        self.norm.build(input_shape)
        self.inner.build(input_shape)
        self.out.build((*input_shape[:-1], self.width))
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs + self.out(self.inner(self.norm(inputs)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}
