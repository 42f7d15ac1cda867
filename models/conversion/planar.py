"""3D convolution and pooling of Keras layers, written as 2D operations that give the same numbers.

For converters and runtimes that know pictures better than video: LiteRT has no 3D pooling and computes its 3D
convolution on one thread without XNNPACK. A convolution over time is one over channels: the frames under each place of
the kernel are stacked as channels and meet the kernel with its time moved into them. A maximum over a box is one over
space and then one over time; the mean is too where every window lies inside, and with "same" padding, since both
TensorFlow operations leave the padding out of the count.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf


def use_planar_layers() -> None:
    """From here on every Keras layer of this process computes in two dimensions. For processes that convert and end."""
    keras.layers.Conv3D.convolution_op = _convolution
    keras.layers.MaxPooling3D.call = _max_pool
    keras.layers.AveragePooling3D.call = _average_pool


def planar_convolution(
    video: Any, kernel: Any, strides: tuple[int, ...], padding: str, dilation: tuple[int, ...] = (1, 1, 1)
) -> Any:
    """float (B, T, H, W, C) and (kt, kh, kw, C/groups, F) → (B, T', H', W', F). T, H, W must be known."""
    steps, frames = int(kernel.shape[0]), _Time.of(video, kernel.shape[0], strides[0], padding, dilation[0])
    taps = [frames.tap(step) for step in range(steps)]  # each (B, T', H, W, C)
    if int(kernel.shape[3]) == int(video.shape[-1]):
        stacked = taps[0] if steps == 1 else tf.concat(taps, -1)  # (B, T', H, W, kt·C)
        flat = tf.reshape(tf.transpose(kernel, (1, 2, 0, 3, 4)), (*kernel.shape[1:3], -1, kernel.shape[4]))
        return _picture_by_picture(stacked, flat, strides, padding, dilation)
    # Groups lie side by side in the channels: stacking frames would mix them, so their answers are added.
    parts = [_picture_by_picture(tap, kernel[step], strides, padding, dilation) for step, tap in enumerate(taps)]
    return tf.add_n(parts) if steps > 1 else parts[0]


class _Time:
    """The frames of a video as a sliding kernel over time meets them."""

    def __init__(self, padded: Any, count: int, stride: int, dilation: int) -> None:
        self._padded, self._count, self._stride, self._dilation = padded, count, stride, dilation

    @classmethod
    def of(cls, video: Any, size: int, stride: int, padding: str, dilation: int) -> _Time:
        length, reach = int(video.shape[1]), (int(size) - 1) * dilation + 1
        if padding != "same":
            return cls(video, (length - reach) // stride + 1, stride, dilation)
        count = math.ceil(length / stride)
        missing = max(0, (count - 1) * stride + reach - length)
        before = missing // 2
        around = [[0, 0], [before, missing - before], [0, 0], [0, 0], [0, 0]]
        return cls(tf.pad(video, around) if missing else video, count, stride, dilation)

    def tap(self, step: int) -> Any:
        """→ the frames under place ``step`` of the kernel, (B, T', H, W, C)."""
        first = step * self._dilation
        return self._padded[:, first : first + (self._count - 1) * self._stride + 1 : self._stride]


def _picture_by_picture(
    video: Any, kernel: Any, strides: tuple[int, ...], padding: str, dilation: tuple[int, ...]
) -> Any:
    """float (B, T, H, W, C) and (kh, kw, C/groups, F) → (B, T, H', W', F)."""
    _, frames, height, width, channels = video.shape
    pictures = tf.reshape(video, (-1, height, width, channels))  # (B·T, H, W, C)
    done = tf.nn.conv2d(pictures, kernel, strides[1:], padding.upper(), dilations=dilation[1:])
    return tf.reshape(done, (-1, frames, *done.shape[1:]))


def planar_pool(pool: Any, video: Any, size: tuple[int, ...], strides: tuple[int, ...], padding: str) -> Any:
    """float (B, T, H, W, C) → (B, T', H', W', C). ``pool``: ``tf.nn.max_pool2d`` or ``tf.nn.avg_pool2d``."""
    _, frames, height, width, channels = video.shape
    x = tf.reshape(video, (-1, height, width, channels))  # (B·T, H, W, C)
    if (*size[1:], *strides[1:]) != (1, 1, 1, 1):
        x = pool(x, size[1:], strides[1:], padding.upper())
    height, width = x.shape[1:3]
    if (size[0], strides[0]) != (1, 1):
        x = tf.reshape(x, (-1, frames, height * width, channels))  # (B, T, H·W, C)
        x = pool(x, (size[0], 1), (strides[0], 1), padding.upper())
        frames = x.shape[1]
    return tf.reshape(x, (-1, frames, height, width, channels))


def _convolution(layer: Any, inputs: Any, kernel: Any) -> Any:
    """Takes the place of ``keras.layers.Conv3D.convolution_op``."""
    return planar_convolution(inputs, kernel, layer.strides, layer.padding, layer.dilation_rate)


def _max_pool(layer: Any, inputs: Any) -> Any:
    return planar_pool(tf.nn.max_pool2d, inputs, layer.pool_size, layer.strides, layer.padding)


def _average_pool(layer: Any, inputs: Any) -> Any:
    return planar_pool(tf.nn.avg_pool2d, inputs, layer.pool_size, layer.strides, layer.padding)
