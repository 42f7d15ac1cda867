"""One stream of a clip whose pixels hold picture and optical flow together."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.unit3d import Shape

COLOURS, AXES = 3, 2
FLOW_ZERO, FLOW_STEPS = 128, 127  # of a byte: no motion, and one unit of flow


@keras.saving.register_keras_serializable(package="actoscope")
class PackedStream(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Bytes scaled to [-1, 1] as ``models.runtimes.flow_input`` packs them → what a stream of a network reads.

    ``rgb``: the first three channels as they are. ``flow``: the last two, with "no motion" at exactly zero, as training
    knows it: (byte - 128) / 127. Computes in float32 whatever the policy: half precision would round the bytes.

    Input: float (B, T, H, W, 3 + 2, or 2 for flow alone). Output: float32 (B, T, H, W, 3 or 2).
    """

    def __init__(self, stream: str, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if stream not in {"rgb", "flow"}:
            raise ValueError(f"stream must be rgb or flow, got {stream!r}")
        self.stream = stream

    def build(self, input_shape: Shape) -> None:
        self.built = True

    def call(self, inputs: Any) -> Any:
        if self.stream == "rgb":
            return inputs[..., :COLOURS]
        return (inputs[..., -AXES:] * 127.5 + (127.5 - FLOW_ZERO)) / FLOW_STEPS

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], COLOURS if self.stream == "rgb" else AXES)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stream": self.stream}
