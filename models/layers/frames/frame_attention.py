"""Self-attention over the frames of a clip."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.frames import Shape

_FAR = 3e4  # taken off the scores of padded frames; float16 holds it, and its exponential is 0


@keras.saving.register_keras_serializable(package="actoscope")
class FrameAttention(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Multi-head self-attention (Vaswani et al. 2017), normalised before (Xiong et al. 2020) and added to its input.

    Every frame looks at all frames that ``mask`` does not leave out. Nothing tells the frames' order: a recurrent
    layer comes behind. Written out, because the fused kernels of some backends give NaN where no frame is left.
    Input and output: float (B, T, D); ``mask``: bool (B, T), False for padding. ``heads`` of ``width`` channels each.
    """

    def __init__(self, heads: int = 4, width: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if heads < 1 or width < 1:
            raise ValueError(f"heads and width must be at least 1, got {heads} and {width}")
        self.heads, self.width = heads, width
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        channels, inner = input_shape[-1], self.heads * self.width
        if channels is None:
            raise ValueError(f"the number of channels must be known, got input shape {input_shape}")
        self.norm = keras.layers.LayerNormalization(dtype=self.dtype_policy, name="norm")
        self.query = keras.layers.Dense(inner, dtype=self.dtype_policy, name="query")
        self.key = keras.layers.Dense(inner, use_bias=False, dtype=self.dtype_policy, name="key")  # softmax ignores it
        self.value = keras.layers.Dense(inner, dtype=self.dtype_policy, name="value")
        self.out = keras.layers.Dense(channels, dtype=self.dtype_policy, name="out")
        self.norm.build(input_shape)
        for layer in (self.query, self.key, self.value):
            layer.build(input_shape)
        self.out.build((*input_shape[:-1], inner))
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        x = self.norm(inputs)
        query, key, value = (self._split(layer(x)) for layer in (self.query, self.key, self.value))  # (B, h, T, w)
        scores = keras.ops.matmul(query, keras.ops.transpose(key, (0, 1, 3, 2))) * self.width**-0.5  # (B, h, T, T)
        if mask is not None:
            there = keras.ops.cast(mask, scores.dtype)[:, None, None, :]  # (B, 1, 1, T)
            scores = scores - (1 - there) * _FAR
        found = keras.ops.matmul(keras.ops.softmax(scores, axis=-1), value)  # (B, h, T, w)
        found = keras.ops.transpose(found, (0, 2, 1, 3))  # (B, T, h, w)
        return inputs + self.out(keras.ops.reshape(found, (-1, inputs.shape[1], self.heads * self.width)))

    def _split(self, x: Any) -> Any:
        """(B, T, h·w) → (B, h, T, w)."""
        x = keras.ops.reshape(x, (-1, x.shape[1], self.heads, self.width))
        return keras.ops.transpose(x, (0, 2, 1, 3))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads, "width": self.width}
