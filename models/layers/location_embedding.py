"""Where in the clip a feature lies, learnt and written beside it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class LocationEmbedding(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Location embedding of the Video Action Transformer (Girdhar et al. 2019).

    Attention does not know places, so each cell gets ``units`` channels that a perceptron of two layers makes of its
    row and column, and ``units`` more that another makes of its time. Places are relative: row and column to the
    middle of the picture, (i + 0.5) / H − 0.5; time to the middle step, at which the person's box lies,
    (k − T // 2) / T.

    Input: float (B, T, H, W, C) with known T, H and W. Output: float (B, T, H, W, C + 2 · units).
    """

    def __init__(self, units: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units must be at least 1, got {units}")
        self.units = units
        policy = self.dtype_policy
        self.space = [
            keras.layers.Dense(units, activation="relu", dtype=policy, name="space_0"),
            keras.layers.Dense(units, dtype=policy, name="space_1"),
        ]
        self.time = [
            keras.layers.Dense(units, activation="relu", dtype=policy, name="time_0"),
            keras.layers.Dense(units, dtype=policy, name="time_1"),
        ]

    def build(self, input_shape: Shape) -> None:
        frames, height, width = input_shape[1:4]
        if frames is None or height is None or width is None:
            raise ValueError(f"time, height and width must be known, got input shape {input_shape}")
        rows, columns = np.meshgrid(_middled(height), _middled(width), indexing="ij")
        self._rows_columns = np.stack([rows, columns], axis=-1).reshape(1, 1, height, width, 2)
        times = (np.arange(frames, dtype=np.float32) - frames // 2) / frames
        self._times = times.astype(np.float32).reshape(1, frames, 1, 1, 1)
        for layers, size in ((self.space, 2), (self.time, 1)):
            layers[0].build((None, size))
            layers[1].build((None, self.units))
        self.built = True

    def call(self, inputs: Any) -> Any:
        space = self.space[1](self.space[0](keras.ops.cast(self._rows_columns, inputs.dtype)))  # (1, 1, H, W, units)
        time = self.time[1](self.time[0](keras.ops.cast(self._times, inputs.dtype)))  # (1, T, 1, 1, units)
        # Not by adding zeros of the inputs' shape: TensorFlow's graph optimiser moves them before the offset and fails.
        shape = (*keras.ops.shape(inputs)[:-1], self.units)
        return keras.ops.concatenate(
            [inputs, *(keras.ops.broadcast_to(each, shape) for each in (space, time))], axis=-1
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], (input_shape[-1] or 0) + 2 * self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def _middled(count: int) -> NDArray[np.float32]:
    """→ float32 (count,): the cells' centres as parts of the side, 0 in the middle."""
    return ((np.arange(count) + 0.5) / count - 0.5).astype(np.float32)
