"""Takes every n-th frame of a clip."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class FrameStep(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """The sampling of SlowFast's pathways (Feichtenhofer et al. 2019, section 3): frames 0, n, 2n, …

    Input: float (B, T, H, W, C). Output: float (B, ceil(T/n), H, W, C).
    """

    def __init__(self, step: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if step < 1:
            raise ValueError(f"step must be at least 1, got {step}")
        self.step = step

    def build(self, input_shape: Shape) -> None:
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs[:, :: self.step]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, frames, *rest = input_shape
        return (batch, None if frames is None else -(-frames // self.step), *rest)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "step": self.step}
