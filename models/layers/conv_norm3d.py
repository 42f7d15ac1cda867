"""Convolution, batch normalisation, activation: the unit that the small networks are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from models.layers.depthwise_conv3d import DepthwiseConv3D, as_triple
from models.layers.unit3d import Shape

POINT = (1, 1, 1)
# Of keras.ops, as keras.activations take no symbolic tensors, with which a network's cost is counted.
ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "relu": keras.ops.relu,
    "hard_silu": keras.ops.hard_silu,
    "linear": lambda x: x,
}


@keras.saving.register_keras_serializable(package="actoscope")
class ConvNorm3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """As ``Unit3D``, with a scale in the normalisation, an activation by name, and depthwise where ``filters`` is 0.

    ``activation``: "relu", "hard_silu" (the hard swish of MobileNetV3), "linear".

    Input: float (B, T, H, W, C). Output: float (B, ceil(T/s), ceil(H/s), ceil(W/s), filters or C) for strides s.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int, int] = POINT,
        strides: tuple[int, int, int] = POINT,
        activation: str = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if filters < 0:
            raise ValueError(f"filters must be at least 0, got {filters}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.filters = filters
        self.kernel_size = as_triple(kernel_size)
        self.strides = as_triple(strides)
        self.activation = activation
        self.conv = self._convolution()
        self.norm = keras.layers.BatchNormalization(dtype=self.dtype_policy, name="norm")

    def _convolution(self) -> Any:
        if self.filters == 0:
            return DepthwiseConv3D(self.kernel_size, self.strides, dtype=self.dtype_policy, name="conv")
        return keras.layers.Conv3D(
            self.filters,
            self.kernel_size,
            strides=self.strides,
            padding="same",
            use_bias=False,
            data_format="channels_last",
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="conv",
        )

    def build(self, input_shape: Shape) -> None:
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return ACTIVATIONS[self.activation](self.norm(self.conv(inputs), training=training))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(self.conv.compute_output_shape(input_shape))

    def get_config(self) -> dict[str, Any]:
        config = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": self.activation,
        }
        return {**super().get_config(), **config}
