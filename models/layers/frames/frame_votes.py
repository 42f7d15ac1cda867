"""Every picture is classified by itself; the clip's answer is the mean of their probabilities."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.frames import Shape

_LEAST = 1e-7  # of a probability: its logarithm stays finite


@keras.saving.register_keras_serializable(package="actoscope")
class FrameVotes(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Logits of pictures float (B, T, C) → log of the mean probability (B, C), whose softmax is that mean.

    Only pictures that ``mask`` (bool (B, T)) does not leave out vote; where it leaves none, every class is as likely.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        chances = keras.ops.softmax(inputs, axis=-1)  # (B, T, C)
        if mask is not None:
            there = keras.ops.cast(mask, chances.dtype)[:, :, None]  # (B, T, 1)
            sums, count = keras.ops.sum(chances * there, axis=1), keras.ops.sum(there, axis=1)
            mean = sums / keras.ops.maximum(count, 1)
        else:
            mean = keras.ops.mean(chances, axis=1)
        return keras.ops.log(keras.ops.maximum(mean, _LEAST))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """No time is left that could be masked."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, _, classes = input_shape
        return batch, classes
