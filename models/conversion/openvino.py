"""Graphs of OpenVINO: a weights folder written as one, and the one place that calls its converter.

The file takes uint8 (1, T, H, W, 3) RGB and gives float32 (1, C) logits; its weights are float32 (bf16 is an option
with which the graph is loaded, so both precisions write the same files), or in f16 half of that on disk. With optical
flow its channels are 2 or 5 (``models.weights.network_input``). A network that sees whole scenes also takes boxes
float32 (N, 4), any number of people of the one clip, and gives (N, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.conversion.telemetry import silence

silence()  # OpenVINO's converter is imported next

import openvino as ov  # noqa: E402
import tensorflow as tf  # noqa: E402

from models.conversion.formats import HALF_WEIGHTS  # noqa: E402
from models.conversion.graph import uint8_network  # noqa: E402
from models.layers.depthwise_conv3d import grouped_depthwise  # noqa: E402
from models.weights.cards import ClipShape, read_card  # noqa: E402
from models.weights.saved_network import load_network  # noqa: E402


def write(folder: Path, target: Path, clip_shape: ClipShape, precision: str) -> None:
    """Write ``target`` (.xml) and its .bin beside it. Raises CardError for a broken folder."""
    network = uint8_network(load_network(read_card(folder)), clip_shape)
    clip, *boxes = network.input_signature
    specs = [tf.TensorSpec((1, *clip_shape), clip.dtype), *boxes]
    with grouped_depthwise():
        traced = network.get_concrete_function(*specs)
    ov.save_model(
        openvino_graph(traced, [spec.shape for spec in specs]), target, compress_to_fp16=precision == HALF_WEIGHTS
    )


def openvino_graph(function: Any, shapes: Sequence[Sequence[int | None]]) -> Any:
    """A concrete TensorFlow function → openvino.Model for inputs of ``shapes``; None is a side that stays open.

    Nothing is reported over the network.
    """
    silence()
    sides = [ov.PartialShape([-1 if side is None else side for side in shape]) for shape in shapes]
    return ov.convert_model(function, input=sides)
