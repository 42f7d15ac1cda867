"""Convolution, batch normalisation, ReLU: the unit that I3D is made of."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Shape = tuple[int | None, ...]
Kernel = NDArray[np.float32]

BATCH_NORM_EPSILON = 1e-3  # Sonnet v1's value, which the published weights were trained with
BATCH_NORM_MOMENTUM = 0.999


@keras.saving.register_keras_serializable(package="actoscope")
class Unit3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """``Unit3D`` of Carreira & Zisserman 2017 (kinetics-i3d, ``i3d.py``).

    Convolution with TensorFlow's "SAME" padding and no bias, batch normalisation without scale, ReLU. With a ``rank``
    the convolution is two, in space to ``rank`` channels and then in time, with nothing between them: the (2+1)D
    convolution of Tran et al. 2018 as an approximation of a full kernel (``factored`` splits one).

    Input: float (B, T, H, W, C). Output: float (B, ceil(T/s), ceil(H/s), ceil(W/s), filters) for strides s.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int, int] = (1, 1, 1),
        strides: tuple[int, int, int] = (1, 1, 1),
        rank: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if filters < 1 or rank < 0:
            raise ValueError(f"expected filters >= 1 and rank >= 0, got {filters} and {rank}")
        self.filters = filters
        self.rank = rank
        time, height, width = kernel_size
        step, down, right = strides
        self.kernel_size, self.strides = (time, height, width), (step, down, right)
        self.space = self._conv(rank, (1, height, width), (1, down, right), "space") if rank else None
        if rank:
            self.conv = self._conv(filters, (time, 1, 1), (step, 1, 1), "conv")
        else:
            self.conv = self._conv(filters, self.kernel_size, self.strides, "conv")
        self.norm = keras.layers.BatchNormalization(
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            scale=False,
            dtype=self.dtype_policy,
            name="norm",
        )

    def _conv(
        self, filters: int, kernel_size: tuple[int, int, int], strides: tuple[int, int, int], name: str
    ) -> keras.layers.Conv3D:
        return keras.layers.Conv3D(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=False,
            data_format="channels_last",
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape: Shape) -> None:
        if self.space is not None:
            self.space.build(input_shape)
            input_shape = tuple(self.space.compute_output_shape(input_shape))
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = inputs if self.space is None else self.space(inputs)
        return keras.ops.relu(self.norm(self.conv(x), training=training))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.space is not None:
            input_shape = tuple(self.space.compute_output_shape(input_shape))
        return tuple(self.conv.compute_output_shape(input_shape))

    def get_config(self) -> dict[str, Any]:
        config = {"filters": self.filters, "kernel_size": self.kernel_size, "strides": self.strides}
        rank = {"rank": self.rank} if self.rank else {}
        return {**super().get_config(), **config, **rank}


def factored(kernel: Kernel, rank: int) -> tuple[Kernel, Kernel]:
    """Kernel (t, h, w, i, o) → the pair (1, h, w, i, rank) and (t, 1, 1, rank, o) that comes closest to it.

    Closest in the sum of squares (Eckart & Young): the singular vectors of the kernel as a matrix (h·w·i, t·o), the
    roots of the singular values on either side. Exact for ``rank`` ≥ min(h·w·i, t·o), where the rest is zeros.
    """
    time, height, width, given, out = kernel.shape
    matrix = kernel.transpose(1, 2, 3, 0, 4).reshape(height * width * given, time * out)
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    kept = min(rank, len(values))
    root = np.sqrt(values[:kept])
    space = np.zeros((height * width * given, rank))
    then = np.zeros((rank, time * out))
    space[:, :kept], then[:kept] = left[:, :kept] * root, root[:, None] * right[:kept]
    split = then.reshape(rank, time, out).transpose(1, 0, 2)
    return (
        space.reshape(1, height, width, given, rank).astype(np.float32),
        split.reshape(time, 1, 1, rank, out).astype(np.float32),
    )
