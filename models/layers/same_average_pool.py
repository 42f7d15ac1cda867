"""Mean over neighbouring places, alike on every backend at the border."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from models.layers.depthwise_conv3d import output_length
from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class SameAveragePool(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Mean over ``size``×``size`` places of each frame, "SAME" padding, of the places inside the picture only.

    Keras' own ``AveragePooling3D`` counts places outside when it runs on PyTorch, which moves logits by tenths.

    Input: float (B, T, H, W, C), T, H and W known. Output: float (B, T, ceil(H/stride), ceil(W/stride), C).
    """

    def __init__(self, size: int, stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size < 1 or stride < 1:
            raise ValueError(f"expected a size and a stride of at least 1, got {size} and {stride}")
        self.size, self.stride = size, stride

    def call(self, inputs: Any) -> Any:
        frames, height, width, channels = inputs.shape[1:]
        rows, columns = self._around(height), self._around(width)
        pictures = keras.ops.reshape(inputs, (-1, height, width, channels))  # LiteRT has no 3D pooling
        padded = keras.ops.pad(pictures, ((0, 0), rows, columns, (0, 0)))
        mean = keras.ops.average_pool(padded, self.size, self.stride, "valid", "channels_last")
        share = np.outer(self._inside(height), self._inside(width))  # of the window that is inside, (H', W')
        mean = mean * keras.ops.cast((1 / share)[None, :, :, None], self.compute_dtype)
        return keras.ops.reshape(mean, (-1, frames, *share.shape, channels))

    def _around(self, length: int) -> tuple[int, int]:
        """→ places added before and after."""
        total = max((output_length(length, self.stride) - 1) * self.stride + self.size - length, 0)
        return total // 2, total - total // 2

    def _inside(self, length: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """→ for each output place, the share of its window that is inside."""
        padded = np.pad(np.ones(length), self._around(length))
        starts = np.arange(output_length(length, self.stride)) * self.stride
        return np.array([padded[start : start + self.size].mean() for start in starts])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        height, width = (None if length is None else output_length(length, self.stride) for length in input_shape[2:4])
        return (*input_shape[:2], height, width, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "stride": self.stride}
