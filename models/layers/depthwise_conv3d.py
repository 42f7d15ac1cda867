"""Depthwise convolution over time and space, which Keras does not have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras

from models.layers.unit3d import Shape

Triple = tuple[int, int, int]
_GROUPED: ContextVar[bool] = ContextVar("grouped", default=False)


@contextmanager
def grouped_depthwise() -> Iterator[None]:
    """Networks traced inside compute depthwise convolutions as grouped ones: for OpenVINO, see ``DepthwiseConv3D``."""
    token = _GROUPED.set(True)
    try:
        yield
    finally:
        _GROUPED.reset(token)


def grouped_is_better() -> bool:
    """Whether to use a grouped convolution: asked for, or on PyTorch, which has its own for this case."""
    return _GROUPED.get() or keras.backend.backend() == "torch"


@dataclass(frozen=True, slots=True)
class Tap:
    """Time step ``step`` of the kernel adds to output frames ``first`` … ``last``, reading frame ``source`` first."""

    step: int
    first: int
    last: int
    source: int


def as_triple(sizes: Sequence[int]) -> Triple:
    """→ (time, height, width), also of the list that a saved configuration holds."""
    time, height, width = sizes
    return (time, height, width)


def output_length(length: int, stride: int) -> int:
    """→ positions left of ``length`` with "SAME" padding."""
    return -(-length // stride)


def time_taps(frames: int, size: int, stride: int) -> list[Tap]:
    """The steps of a kernel of ``size`` that meet a frame at all, with TensorFlow's "SAME" padding in time."""
    last_output = output_length(frames, stride) - 1
    before = max(last_output * stride + size - frames, 0) // 2
    taps = []
    for step in range(size):
        offset = step - before  # output frame i reads input frame i·stride + offset
        first = max(0, -(offset // stride))
        last = min(last_output, (frames - 1 - offset) // stride)
        if first <= last:
            taps.append(Tap(step, first, last, first * stride + offset))
    return taps


@keras.saving.register_keras_serializable(package="actoscope")
class DepthwiseConv3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Each channel has a kernel (time, height, width) of its own; "SAME" padding, no bias.

    It is computed in one of two forms, which give the same. The usual one is the sum, over the kernel's time steps, of
    depthwise convolutions of pictures, each moved in time. PyTorch, and graphs traced within ``grouped_depthwise()``
    for OpenVINO, take a grouped 3D convolution. Measured in CPU time of one core (AMD EPYC with AVX-512, Keras 3.15),
    kernel 3×3×3 on (1, 16, 28, 28, 64) float32, and all of ``mobilenet_v3_3d`` at 16×112²:

    | form    | TensorFlow 2.21, layer | OpenVINO 2026, layer | OpenVINO, network |
    |---------|------------------------|----------------------|-------------------|
    | sum     | 2 ms                   | 1.0 ms               | 26 ms             |
    | grouped | 290 ms (XLA)           | 0.4 ms               | 5.3 ms            |

    A training step of two such clips takes 12 ms as a sum and 2,077 ms grouped in TensorFlow, 272 and 118 ms in
    PyTorch. A kernel of space followed by one of time is cheaper still, but another operator than the published one.

    Input: float (B, T, H, W, C), T known. Output: float (B, ceil(T/s), ceil(H/s), ceil(W/s), C) for strides s.
    """

    def __init__(
        self, kernel_size: tuple[int, int, int] = (3, 3, 3), strides: tuple[int, int, int] = (1, 1, 1), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = as_triple(kernel_size)
        self.strides = as_triple(strides)
        if min(self.kernel_size) < 1 or min(self.strides) < 1:
            raise ValueError(f"expected sizes and strides of at least 1, got {kernel_size} and {strides}")
        if self.strides[1] != self.strides[2]:
            raise ValueError(f"the strides of height and width must be equal, got {strides}")

    def build(self, input_shape: Shape) -> None:
        if input_shape[1] is None or input_shape[-1] is None:
            raise ValueError(f"the numbers of frames and channels must be known, got input shape {input_shape}")
        time, height, width = self.kernel_size
        self.kernel = self.add_weight(
            shape=(time, height, width, input_shape[-1]),
            # One output value sums as many products as the kernel has positions: "fan in" of Keras would be of space.
            initializer=keras.initializers.RandomNormal(stddev=(2.0 / (time * height * width)) ** 0.5),
            name="kernel",
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        if grouped_is_better():
            return self._grouped(inputs)
        taps = time_taps(inputs.shape[1], self.kernel_size[0], self.strides[0])
        total = self._moved(inputs, taps[0])
        for tap in taps[1:]:
            total = total + self._moved(inputs, tap)
        return total

    def _grouped(self, inputs: Any) -> Any:
        kernel = keras.ops.expand_dims(keras.ops.cast(self.kernel, self.compute_dtype), -2)  # (t, h, w, 1, C)
        return keras.ops.conv(inputs, kernel, strides=self.strides, padding="same", data_format="channels_last")

    def _moved(self, inputs: Any, tap: Tap) -> Any:
        """(B, T, H, W, C) → what one time step of the kernel adds (B, T', H', W', C)."""
        frames, stride = inputs.shape[1], self.strides[0]
        count = tap.last - tap.first + 1
        end = tap.source + (count - 1) * stride + 1
        if stride == 1:
            # Cutting behind the convolution costs a frame or two, but lets all time steps share one folded input.
            x = self._pictures(inputs, tap.step)[:, tap.source : end]
        else:
            x = self._pictures(inputs[:, tap.source : end : stride], tap.step)
        after = output_length(frames, stride) - 1 - tap.last
        if tap.first == 0 and after == 0:
            return x
        return keras.ops.pad(x, ((0, 0), (tap.first, after), (0, 0), (0, 0), (0, 0)))

    def _pictures(self, x: Any, step: int) -> Any:
        """Every frame (B, n, H, W, C) with one time step of the kernel → (B, n, H', W', C)."""
        frames, height, width, channels = x.shape[1:]
        kernel = keras.ops.expand_dims(keras.ops.cast(self.kernel[step], self.compute_dtype), -1)  # (h, w, C, 1)
        y = keras.ops.depthwise_conv(
            keras.ops.reshape(x, (-1, height, width, channels)),  # (B·n, H, W, C)
            kernel,
            strides=self.strides[1:],
            padding="same",
            data_format="channels_last",
        )
        return keras.ops.reshape(y, (-1, frames, *y.shape[1:]))

    def multiply_adds(self, input_shape: Shape) -> int:
        """→ products of one clip, as a 3D convolution's: the folded pictures hide them from a count of operations."""
        return math.prod(int(size or 0) for size in self.compute_output_shape(input_shape)[1:]) * math.prod(
            self.kernel_size
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = (
            None if size is None else output_length(size, stride)
            for size, stride in zip(input_shape[1:4], self.strides, strict=True)
        )
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": self.kernel_size, "strides": self.strides}
