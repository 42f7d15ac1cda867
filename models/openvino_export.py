"""Convert a weights folder to an OpenVINO graph: ``python -m models.openvino_export FOLDER GRAPH.xml T H W``.

Run as a process of its own by ``models.runtime_openvino``. The graph takes uint8 (1, T, H, W, 3) RGB and gives float32
(1, C) logits; its weights are float32.
"""

from __future__ import annotations

import sys
from pathlib import Path

import openvino as ov
import tensorflow as tf

from models.cards import read_card
from models.runtime import ClipShape
from models.runtime_tensorflow import load_network, uint8_network


def export(folder: Path, graph: Path, clip_shape: ClipShape) -> None:
    """Write ``graph`` and its .bin. Raises CardError for a broken folder."""
    network = uint8_network(load_network(read_card(folder)), clip_shape)
    shapes = [(1, *spec.shape[1:]) for spec in network.input_signature]  # one clip, and its box where there is one
    specs = [tf.TensorSpec(shape, spec.dtype) for shape, spec in zip(shapes, network.input_signature, strict=True)]
    model = ov.convert_model(network.get_concrete_function(*specs), input=[ov.PartialShape(list(s)) for s in shapes])
    ov.save_model(model, graph, compress_to_fp16=False)


if __name__ == "__main__":
    frames, height, width = map(int, sys.argv[3:6])
    export(Path(sys.argv[1]), Path(sys.argv[2]), (frames, height, width, 3))
