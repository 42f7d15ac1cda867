"""The bottleneck block of residual networks, for video."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.unit3d import Shape

EPSILON = 1e-5  # of batch normalisation, as in the published residual networks
MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="actoscope")
class Bottleneck3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """``T×1×1, inner`` → ``1×3×3, inner`` → ``1×1×1, filters``, added to its input (He et al. 2016; table 1 of
    Feichtenhofer et al. 2019).

    ``time_reach`` T is 1 (a picture alone) or 3. ``stride`` is that of the 1×3×3 convolution over height and width.
    Where input and output differ in shape, the input passes a 1×1×1 convolution of that stride. Every convolution is
    normalised; the last normalisation starts at zero, so that a block starts as the identity (Goyal et al. 2017).

    Input: float (B, T, H, W, C). Output: float (B, T, ceil(H/stride), ceil(W/stride), filters).
    """

    def __init__(self, inner: int, filters: int, time_reach: int = 1, stride: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if min(inner, filters, time_reach, stride) < 1:
            raise ValueError(f"sizes must be at least 1, got {inner}, {filters}, {time_reach} and {stride}")
        self.inner, self.filters, self.time_reach, self.stride = inner, filters, time_reach, stride
        self.units = [
            (self._conv("a", inner, (time_reach, 1, 1), 1), self._norm("a")),
            (self._conv("b", inner, (1, 3, 3), stride), self._norm("b")),
            (self._conv("c", filters, (1, 1, 1), 1), self._norm("c", gamma="zeros")),
        ]
        self.shortcut: tuple[Any, Any] | None = None

    def build(self, input_shape: Shape) -> None:
        if self.stride != 1 or input_shape[-1] != self.filters:
            self.shortcut = (self._conv("shortcut", self.filters, (1, 1, 1), self.stride), self._norm("shortcut"))
        for chain in (self.units, [self.shortcut] if self.shortcut else []):
            shape = input_shape
            for conv, norm in chain:
                conv.build(shape)
                shape = conv.compute_output_shape(shape)
                norm.build(shape)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = inputs
        for place, (conv, norm) in enumerate(self.units):
            x = norm(conv(x), training=training)
            if place < len(self.units) - 1:
                x = keras.ops.relu(x)
        if self.shortcut is not None:
            conv, norm = self.shortcut
            inputs = norm(conv(inputs), training=training)
        return keras.ops.relu(inputs + x)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, frames, height, width, _ = input_shape
        sizes = [None if size is None else -(-size // self.stride) for size in (height, width)]
        return (batch, frames, *sizes, self.filters)

    def get_config(self) -> dict[str, Any]:
        names = ("inner", "filters", "time_reach", "stride")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _conv(self, name: str, filters: int, size: tuple[int, int, int], stride: int) -> Any:
        return keras.layers.Conv3D(
            filters,
            size,
            strides=(1, stride, stride),
            padding="same",
            use_bias=False,
            data_format="channels_last",
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name=f"{name}_conv",
        )

    def _norm(self, name: str, gamma: str = "ones") -> Any:
        return keras.layers.BatchNormalization(
            momentum=MOMENTUM, epsilon=EPSILON, gamma_initializer=gamma, dtype=self.dtype_policy, name=f"{name}_norm"
        )
