"""Features of one box out of a feature map: RoIAlign, as two small matrix products."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from models.layers.unit3d import Shape


@keras.saving.register_keras_serializable(package="actoscope")
class RoiAlign(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """RoIAlign (He et al. 2017, "Mask R-CNN", section 3) for one box a row, with average pooling.

    The box is cut into ``size`` × ``size`` bins, and each bin is the mean of ``samples`` × ``samples`` bilinear
    samples at regular places. Bin p of a box from y1 to y2, on a map of H rows whose cell i has its centre at
    (i + 0.5) / H, has its sample s (both counted from 0) in units of rows at

        y(p, s) = H · (y1 + (y2 − y1) · (p + (s + 0.5) / samples) / size) − 0.5,   held within 0 … H − 1,

    and cell i weighs max(0, 1 − |y(p, s) − i|) there; columns alike. Since the weights of rows and columns multiply,
    a bin is Σ_i Σ_j rows[p, i] · columns[q, j] · map[i, j] with ``rows`` and ``columns`` the means over s: exact, no
    gather, and it runs alike on every backend and exporter. Nothing is rounded to cells.

    Inputs: features float (B, H, W, C) with known H and W; boxes float (N, 4), x1 y1 x2 y2 as parts of width and
    height, where B is N, or 1 when all boxes lie in the same map. Output: float (N, size, size, C). A box without area
    gives the features at its place. Coordinates are never rounded to half precision.
    """

    def __init__(self, size: int = 7, samples: int = 2, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if size < 1 or samples < 1:
            raise ValueError(f"size and samples must be at least 1, got {size} and {samples}")
        self.size = size
        self.samples = samples

    def build(self, features_shape: Shape, boxes_shape: Shape) -> None:
        if len(features_shape) != 4 or None in features_shape[1:] or boxes_shape[-1] != 4:
            raise ValueError(f"expected (B, H, W, C) and (N, 4), got {features_shape} and {boxes_shape}")
        steps = np.arange(self.size)[:, None] + (np.arange(self.samples) + 0.5) / self.samples
        self._places = (steps / self.size).astype(np.float32)  # (size, samples): parts of the box's side
        self.built = True

    def call(self, features: Any, boxes: Any) -> Any:
        height, width, channels = features.shape[1:]
        features = keras.ops.cast(features, self.compute_dtype)
        rows = keras.ops.cast(self._weights(boxes[:, 1], boxes[:, 3], height), self.compute_dtype)  # (N, size, H)
        columns = keras.ops.cast(self._weights(boxes[:, 0], boxes[:, 2], width), self.compute_dtype)  # (N, size, W)
        bands = keras.ops.matmul(rows, keras.ops.reshape(features, (-1, height, width * channels)))
        bands = keras.ops.reshape(bands, (-1, self.size, width, channels))
        return keras.ops.matmul(keras.ops.expand_dims(columns, 1), bands)  # (N, size, size, C)

    def _weights(self, start: Any, stop: Any, cells: int) -> Any:
        """Sides (N,) of the boxes in 0..1 → float32 (N, size, cells): how much each cell counts in each bin."""
        start, stop = (keras.ops.reshape(keras.ops.cast(side, "float32"), (-1, 1, 1)) for side in (start, stop))
        at = keras.ops.clip(cells * (start + (stop - start) * self._places) - 0.5, 0, cells - 1)  # (N, size, samples)
        distance = keras.ops.abs(keras.ops.expand_dims(at, -1) - np.arange(cells, dtype=np.float32))
        return keras.ops.mean(keras.ops.maximum(1.0 - distance, 0.0), axis=2)

    def compute_output_shape(self, features_shape: Shape, boxes_shape: Shape) -> Shape:
        return (boxes_shape[0], self.size, self.size, features_shape[-1])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        return {**config, "size": self.size, "samples": self.samples}
