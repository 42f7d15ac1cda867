"""A batch of pictures' features as sequences again."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class UnfoldTime(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """(B·T, …) → (B, T, …) for T ``frames``; undoes ``FoldTime``."""

    def __init__(self, frames: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if frames < 1:
            raise ValueError(f"frames must be at least 1, got {frames}")
        self.frames = frames

    def call(self, inputs: Any) -> Any:
        return keras.ops.reshape(inputs, (-1, self.frames, *inputs.shape[1:]))  # (B, T, …)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        together, *rest = input_shape
        return (None if together is None else together // self.frames, self.frames, *rest)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frames": self.frames}
