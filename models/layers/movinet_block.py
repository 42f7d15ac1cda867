"""The block of the causal MoViNets, for whole clips and for a few frames at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from models.layers.causal_squeeze_excite import CausalSqueezeExcite
from models.layers.conv_norm3d import ConvNorm3D
from models.layers.depthwise_conv3d import as_triple
from models.layers.same_average_pool import SameAveragePool
from models.layers.temporal_depthwise import TemporalDepthwise
from models.layers.unit3d import Shape

ACTIVATION = "hard_silu"


@keras.saving.register_keras_serializable(package="actoscope")
class MovinetBlock(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Widen, filter each channel in space and then causally in time, gate, narrow, add the input.

    Kondratyuk et al. 2021 (figure 2, sections 3.1 and 3.2), with convolutions split into space and time as in the
    published stream networks. The input is pooled and projected where it is halved or its channels change.
    ``gate`` are the units of the gate's bottleneck, ``own_frame`` as in ``CausalSqueezeExcite``; ``drop`` is how often
    the filtered part is left out of a clip in training.

    A stream's state between calls is a dict of ``past`` (B, kernel - 1, H', W', expand; only where the kernel reaches
    back) and ``mean`` (B, expand).

    Input: float (B, T, H, W, C), T known. Output: float (B, T, ceil(H/stride), ceil(W/stride), filters).
    """

    def __init__(
        self,
        filters: int,
        expand: int,
        kernel_size: tuple[int, int, int],
        stride: int = 1,
        gate: int = 8,
        own_frame: bool = False,
        drop: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.expand, self.kernel_size = filters, expand, as_triple(kernel_size)
        self.stride, self.gate, self.own_frame, self.drop = stride, gate, own_frame, drop
        policy = self.dtype_policy
        space, strides = (1, self.kernel_size[1], self.kernel_size[2]), (1, stride, stride)
        self.widen = ConvNorm3D(expand, activation=ACTIVATION, dtype=policy, name="widen")
        self.in_space = ConvNorm3D(0, space, strides, ACTIVATION, dtype=policy, name="in_space")
        self.in_time = None
        if self.kernel_size[0] > 1:
            self.in_time = TemporalDepthwise(self.kernel_size[0], dtype=policy, name="in_time")
            self.time_norm = keras.layers.BatchNormalization(dtype=policy, name="time_norm")
        self.squeeze = CausalSqueezeExcite(gate, own_frame, dtype=policy, name="squeeze")
        self.narrow = ConvNorm3D(filters, activation="linear", dtype=policy, name="narrow")
        self.skip_pool = SameAveragePool(3, stride, dtype=policy, name="skip_pool")
        self.skip = ConvNorm3D(filters, activation="linear", dtype=policy, name="skip")
        self.dropping = keras.layers.Dropout(drop, (None, 1, 1, 1, 1), dtype=policy, name="dropping") if drop else None

    def build(self, input_shape: Shape) -> None:
        wide = self.in_space.compute_output_shape((*input_shape[:-1], self.expand))
        self.projects = self.stride > 1 or input_shape[-1] != self.filters
        self.widen.build(input_shape)
        self.in_space.build((*input_shape[:-1], self.expand))
        if self.in_time is not None:
            self.in_time.build(wide)
            self.time_norm.build(wide)
        self.squeeze.build(wide)
        self.narrow.build(wide)
        if self.projects:
            self.skip.build(input_shape)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.stream(inputs, None, None, training)[0]

    def stream(
        self, inputs: Any, state: Mapping[str, Any] | None, seen: Any, training: bool | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """→ (frames, new state). ``state`` None: the frames are the clip's first; ``seen`` int32 (B,) came before."""
        before, after = state or {}, {}
        x = self.in_space(self.widen(inputs, training=training), training=training)
        if self.in_time is not None:
            past = before.get("past")
            if past is not None:
                after["past"] = self.in_time.remembered(x, past)
            x = self.time_norm(self.in_time(x, past=past), training=training)
            x = keras.ops.hard_silu(x)
        x, after["mean"] = self.squeeze.stream(x, before.get("mean"), seen)
        x = self.narrow(x, training=training)
        if self.dropping is not None:
            x = self.dropping(x, training=training)
        return self._beside(inputs, training) + x, after

    def _beside(self, inputs: Any, training: bool | None) -> Any:
        """→ what is added to the filtered frames."""
        if not self.projects:
            return inputs
        pooled = self.skip_pool(inputs) if self.stride > 1 else inputs
        return self.skip(pooled, training=training)

    def state_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """Input (B, T, H, W, C) → shapes of a stream's state, without the batch axis."""
        height, width = self.in_space.compute_output_shape(input_shape)[2:4]
        shapes: dict[str, tuple[int, ...]] = {"mean": (self.expand,)}
        if self.in_time is not None:
            shapes["past"] = (self.kernel_size[0] - 1, int(height or 0), int(width or 0), self.expand)
        return shapes

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*self.in_space.compute_output_shape(input_shape)[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "expand", "kernel_size", "stride", "gate", "own_frame", "drop")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
