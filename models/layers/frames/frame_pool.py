"""The pictures of a clip as one: their mean, or the largest value that any of them has."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.frames import Shape

_FAR = 3e4  # below any feature; float16 holds it
HOW = ("mean", "max")


@keras.saving.register_keras_serializable(package="actoscope")
class FramePool(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """float (B, T, D) → (B, D), the mean or the maximum over the pictures that ``mask`` (bool (B, T)) does not leave
    out. A clip without any picture gives zeros.
    """

    def __init__(self, how: str = "mean", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if how not in HOW:
            raise ValueError(f"how must be one of {', '.join(HOW)}; got {how!r}")
        self.how = how
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            mask = keras.ops.ones(keras.ops.shape(inputs)[:2], "bool")
        there = keras.ops.cast(mask, inputs.dtype)[:, :, None]  # (B, T, 1)
        count = keras.ops.sum(there, axis=1)  # (B, 1)
        if self.how == "mean":
            return keras.ops.sum(inputs * there, axis=1) / keras.ops.maximum(count, 1)
        most = keras.ops.max(inputs - (1 - there) * _FAR, axis=1)
        return most * keras.ops.minimum(count, 1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """No time is left that could be masked."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, _, channels = input_shape
        return batch, channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "how": self.how}
