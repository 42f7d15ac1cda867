"""Convolution, batch normalisation, ReLU: the unit that I3D is made of."""

from __future__ import annotations

from typing import Any

import keras

Shape = tuple[int | None, ...]

BATCH_NORM_EPSILON = 1e-3  # Sonnet v1's value, which the published weights were trained with
BATCH_NORM_MOMENTUM = 0.999


@keras.saving.register_keras_serializable(package="actoscope")
class Unit3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """``Unit3D`` of Carreira & Zisserman 2017 (kinetics-i3d, ``i3d.py``).

    Convolution with TensorFlow's "SAME" padding and no bias, batch normalisation without scale, ReLU.

    Input: float (B, T, H, W, C). Output: float (B, ceil(T/s), ceil(H/s), ceil(W/s), filters) for strides s.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int, int] = (1, 1, 1),
        strides: tuple[int, int, int] = (1, 1, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be at least 1, got {filters}")
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = tuple(strides)
        self.conv = keras.layers.Conv3D(
            filters,
            self.kernel_size,
            strides=self.strides,
            padding="same",
            use_bias=False,
            data_format="channels_last",
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = keras.layers.BatchNormalization(
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            scale=False,
            dtype=self.dtype_policy,
            name="norm",
        )

    def build(self, input_shape: Shape) -> None:
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return keras.ops.relu(self.norm(self.conv(inputs), training=training))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(self.conv.compute_output_shape(input_shape))

    def get_config(self) -> dict[str, Any]:
        config = {"filters": self.filters, "kernel_size": self.kernel_size, "strides": self.strides}
        return {**super().get_config(), **config}
