"""A network of the teacher's kind, small enough to be trained in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as ops


def write_teacher(file: Path, channels: int = 8, dimension: int = 16) -> None:
    """BGR (1, 3, 256, 128) → (1, ``dimension``), its layers in the teacher's order."""
    generator = np.random.default_rng(3)

    def weights(*shape: int) -> openvino.Node:
        return ops.constant(generator.normal(0, 0.3, shape).astype(np.float32))

    def convolution(node: openvino.Node, kernel: openvino.Node, stride: int) -> openvino.Node:
        return ops.convolution(node, kernel, [stride, stride], [0, 0], [0, 0], [1, 1])

    picture = ops.parameter([1, 3, 256, 128], np.float32, "data")
    rgb = ops.gather(picture, ops.constant(np.array([2, 1, 0])), ops.constant(1))
    level = ops.subtract(rgb, ops.constant(np.full((1, 3, 1, 1), 128, np.float32)))
    even = ops.mvn(level, ops.constant(np.array([2, 3])), True, 1e-5, "INSIDE_SQRT")
    edges = ops.relu(convolution(even, weights(channels, 3, 8, 8), 8))  # (1, C, 32, 16)
    pooled = ops.avg_pool(edges, [2, 2], [0, 0], [0, 0], [2, 2], True)  # (1, C, 16, 8)
    mixed = ops.relu(ops.add(convolution(pooled, weights(channels, channels, 1, 1), 1), weights(1, channels, 1, 1)))
    placed = ops.group_convolution(mixed, weights(channels, 1, 1, 16, 8), [1, 1], [0, 0], [0, 0], [1, 1])
    flat = ops.reshape(placed, ops.constant(np.array([-1, channels])), True)
    vector = ops.matmul(flat, weights(dimension, channels), False, True)
    openvino.save_model(openvino.Model([vector], [picture], "teacher"), file, compress_to_fp16=False)
