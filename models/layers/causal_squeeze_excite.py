"""Causal squeeze-and-excite: gates that know the frames so far and none to come."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.cumulative_mean import CumulativeMean
from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class CausalSqueezeExcite(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Gates on channels, one a frame, from the cumulative mean (Kondratyuk et al. 2021, section 3.2).

    The bottleneck has ``hidden`` hard-swish units, the gates are hard sigmoids. With ``own_frame`` it reads the frame's
    own mean as well (2·C values), which is the "2plus3d" form of the authors' later stream networks.
    For streams see ``CumulativeMean``, whose ``mean`` and ``seen`` these are; ``stream`` gives the new mean as well.

    Input and output: float (B, T, H, W, C), T known.
    """

    def __init__(self, hidden: int, own_frame: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if hidden < 1:
            raise ValueError(f"hidden must be at least 1, got {hidden}")
        self.hidden, self.own_frame = hidden, own_frame
        policy = self.dtype_policy
        self.pool = CumulativeMean(dtype="float32", name="pool")
        self.reduce = keras.layers.Dense(
            hidden, activation="hard_silu", kernel_initializer="he_normal", dtype=policy, name="reduce"
        )

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(f"the number of channels must be known, got input shape {input_shape}")
        self.expand = keras.layers.Dense(channels, activation="hard_sigmoid", dtype=self.dtype_policy, name="expand")
        self.reduce.build((*input_shape[:2], (1 + self.own_frame) * channels))
        self.expand.build((*input_shape[:2], self.hidden))
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.stream(inputs, None, None)[0]

    def stream(self, inputs: Any, mean: Any, seen: Any) -> tuple[Any, Any]:
        """→ (gated frames, mean up to the last one float32 (B, C))."""
        means = self.pool(inputs, mean=mean, seen=seen)  # (B, T, C)
        squeezed = keras.ops.cast(means, inputs.dtype)
        if self.own_frame:
            squeezed = keras.ops.concatenate([squeezed, keras.ops.mean(inputs, (2, 3))], axis=-1)  # (B, T, 2·C)
        gates = self.expand(self.reduce(squeezed))  # (B, T, C)
        return inputs * keras.ops.expand_dims(gates, (2, 3)), means[:, -1]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden, "own_frame": self.own_frame}
