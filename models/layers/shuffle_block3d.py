"""The block of ShuffleNetV2, inflated to video."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.conv_norm3d import ConvNorm3D
from models.layers.depthwise_conv3d import as_triple
from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class ShuffleBlock3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Ma et al. 2018, figure 3 (c) and (d): two halves of the channels, joined and shuffled.

    At stride 1 (c) the first half of the input's channels passes untouched and the second is filtered; at stride 2 (d)
    both branches read the whole input. The shuffle puts channel i of both halves side by side.

    Input: float (B, T, H, W, C), T known, C = ``filters`` at stride 1.
    Output: float (B, ceil(T/s), ceil(H/s), ceil(W/s), filters).
    """

    def __init__(
        self, filters: int, stride: int = 1, kernel_size: tuple[int, int, int] = (3, 3, 3), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if filters < 2 or filters % 2:
            raise ValueError(f"filters must be even and at least 2, got {filters}")
        self.filters, self.stride, self.kernel_size = filters, stride, as_triple(kernel_size)
        self.strides = (stride, stride, stride)
        half, policy = filters // 2, self.dtype_policy
        self.main = [
            ConvNorm3D(half, dtype=policy, name="main_0a"),
            ConvNorm3D(0, self.kernel_size, self.strides, "linear", dtype=policy, name="main_0b"),
            ConvNorm3D(half, dtype=policy, name="main_0c"),
        ]
        self.side = []
        if stride > 1:
            self.side = [
                ConvNorm3D(0, self.kernel_size, self.strides, "linear", dtype=policy, name="side_0a"),
                ConvNorm3D(half, dtype=policy, name="side_0b"),
            ]

    def build(self, input_shape: Shape) -> None:
        if self.stride == 1 and input_shape[-1] != self.filters:
            raise ValueError(f"at stride 1 the input must have {self.filters} channels, got {input_shape[-1]}")
        main = (*input_shape[:-1], self.filters // 2) if self.stride == 1 else input_shape
        for branch, shape in ((self.main, main), (self.side, input_shape)):
            for layer in branch:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)  # noqa: PLW2901  # the next layer's input
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        side, main = keras.ops.split(inputs, 2, axis=-1) if self.stride == 1 else (inputs, inputs)
        for layer in self.side:
            side = layer(side, training=training)
        for layer in self.main:
            main = layer(main, training=training)
        pairs = keras.ops.stack([side, main], axis=-1)  # (B, T', H', W', half, 2)
        return keras.ops.reshape(pairs, (-1, *main.shape[1:-1], self.filters))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*self.main[1].compute_output_shape(input_shape)[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        config = {"filters": self.filters, "stride": self.stride, "kernel_size": self.kernel_size}
        return {**super().get_config(), **config}
