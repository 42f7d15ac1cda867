"""A weights folder → a LiteRT (TFLite) file: one clip uint8 (1, T, H, W, 3) → logits float32 (1, C).

LiteRT has no 3D pooling, and its 3D convolution is neither quantised nor run by XNNPACK: the network is written in two
dimensions (``models.conversion.planar``). f16 keeps the weights as float16, half the size. int8 keeps the kernels as
8-bit integers by output channel and measures each layer's input as it comes ("dynamic range"), so that it needs no
calibration. Operations that LiteRT lacks are an error that names them, never left to TensorFlow ("Flex").
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from models.conversion.graph import only_clips, read_graph
from models.conversion.planar import use_planar_layers
from models.weights.cards import ClipShape
from models.weights.export_record import ExportFormat


def write(folder: Path, target: Path, clip_shape: ClipShape, precision: str) -> None:
    """Raises CardError, ExportError, and the converter's own error naming operations that LiteRT lacks."""
    use_planar_layers()
    graph = read_graph(folder, clip_shape, 1)
    only_clips(graph, ExportFormat.LITERT)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.concrete], graph.holder())
    if precision != "f32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "f16":
        converter.target_spec.supported_types = [tf.float16]
    target.write_bytes(converter.convert())
