"""The block of MobileNetV3 ("bneck"), inflated to video."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.conv_norm3d import POINT, ConvNorm3D
from models.layers.depthwise_conv3d import as_triple
from models.layers.hard_squeeze_excite import HardSqueezeExcite3D
from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class InvertedResidual3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Widen to ``expand`` channels, filter each channel, gate, narrow to ``filters`` (Howard et al. 2019, figure 4).

    No widening where the input has ``expand`` channels already; no gate where ``gate`` (its bottleneck's units) is 0;
    the input is added where the shape stays.

    Input: float (B, T, H, W, C), T known. Output: float (B, ceil(T/s), ceil(H/s), ceil(W/s), filters) for strides s.
    """

    def __init__(  # a row of the paper's table
        self,
        filters: int,
        expand: int,
        kernel_size: tuple[int, int, int] = (3, 3, 3),
        strides: tuple[int, int, int] = POINT,
        gate: int = 0,
        activation: str = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.expand, self.gate = filters, expand, gate
        self.kernel_size, self.strides = as_triple(kernel_size), as_triple(strides)
        self.activation = activation
        policy = self.dtype_policy
        self.widen = ConvNorm3D(expand, activation=activation, dtype=policy, name="widen")
        self.filter = ConvNorm3D(0, self.kernel_size, self.strides, activation, dtype=policy, name="filter")
        self.squeeze = HardSqueezeExcite3D(gate, dtype=policy, name="squeeze") if gate else None
        self.narrow = ConvNorm3D(filters, activation="linear", dtype=policy, name="narrow")

    def build(self, input_shape: Shape) -> None:
        shape = input_shape
        self.widens = input_shape[-1] != self.expand
        self.adds = self.strides == POINT and input_shape[-1] == self.filters
        for layer in self._units():
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def _units(self) -> list[Any]:
        layers = [self.widen if self.widens else None, self.filter, self.squeeze, self.narrow]
        return [layer for layer in layers if layer is not None]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = inputs
        for layer in self._units():
            x = layer(x, training=training) if isinstance(layer, ConvNorm3D) else layer(x)
        return inputs + x if self.adds else x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*self.filter.compute_output_shape(input_shape)[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "expand", "kernel_size", "strides", "gate", "activation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
