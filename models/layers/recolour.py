"""Pictures in [-1, 1] RGB as another network wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from models.layers.unit3d import Shape

RGB = (0, 1, 2)


@keras.saving.register_keras_serializable(package="actoscope")
class Recolour(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """float (…, 3) → float (…, 3): channels in another ``order``, then times ``scale`` plus ``offset``, each of 3."""

    def __init__(
        self,
        scale: Sequence[float],
        offset: Sequence[float],
        order: Sequence[int] = RGB,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(scale) != 3 or len(offset) != 3 or sorted(order) != list(RGB):
            raise ValueError(f"expected 3 scales, 3 offsets and an order of 0, 1, 2; got {scale}, {offset}, {order}")
        self.scale, self.offset, self.order = tuple(scale), tuple(offset), tuple(order)

    def call(self, inputs: Any) -> Any:
        if self.order != RGB:
            inputs = keras.ops.stack([inputs[..., channel] for channel in self.order], axis=-1)
        scale = keras.ops.convert_to_tensor(self.scale, dtype=inputs.dtype)
        return inputs * scale + keras.ops.convert_to_tensor(self.offset, dtype=inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset, "order": self.order}
