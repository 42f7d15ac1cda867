"""Evenly spaced frames of a clip, for networks that look at fewer than a clip holds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.layers.unit3d import Shape


def picked_frames(total: int, count: int) -> NDArray[np.int32]:
    """→ numbers of the frames that stay: the middles of ``count`` equal parts, or all where there are no more."""
    if total <= count:
        return np.arange(total, dtype=np.int32)
    return ((np.arange(count) + 0.5) * total / count).astype(np.int32)


@keras.saving.register_keras_serializable(package="actoscope")
class PickFrames(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """(B, T, …) → (B, min(T, count), …). T must be known; shorter clips pass unchanged."""

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self.count = count

    def build(self, input_shape: Shape) -> None:
        if input_shape[1] is None:
            raise ValueError(f"the number of frames must be known, got input shape {input_shape}")
        self.built = True

    def call(self, inputs: Any) -> Any:
        if inputs.shape[1] <= self.count:
            return inputs
        return keras.ops.take(inputs, picked_frames(inputs.shape[1], self.count), axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, frames, *rest = input_shape
        return (batch, None if frames is None else min(frames, self.count), *rest)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "count": self.count}
