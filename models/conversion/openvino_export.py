"""Convert a weights folder to OpenVINO: ``python -m models.conversion.openvino_export FOLDER GRAPH.xml T H W C``.

Run as a process of its own by ``models.runtimes.openvino``. The graph takes uint8 (1, T, H, W, 3) RGB and gives float32
(1, C) logits; its weights are float32. C channels are 3, or with optical flow 2 or 5 (``models.runtimes.flow_input``).
A network that sees whole scenes also takes boxes float32 (N, 4), any number of people of the one clip, and gives (N,
C).
"""

from __future__ import annotations

import sys
from pathlib import Path

from models.conversion.telemetry import silence

silence()  # the converter is imported next

import openvino as ov  # noqa: E402
import tensorflow as tf  # noqa: E402

from models.layers.depthwise_conv3d import grouped_depthwise  # noqa: E402
from models.runtimes.runner import ClipShape  # noqa: E402
from models.runtimes.tensorflow import load_network, uint8_network  # noqa: E402
from models.weights.cards import read_card  # noqa: E402


def export(folder: Path, graph: Path, clip_shape: ClipShape) -> None:
    """Write ``graph`` and its .bin. Raises CardError for a broken folder."""
    network = uint8_network(load_network(read_card(folder)), clip_shape)
    clip, *boxes = network.input_signature
    specs = [tf.TensorSpec((1, *clip_shape), clip.dtype), *boxes]
    shapes = [ov.PartialShape([-1 if side is None else side for side in spec.shape]) for spec in specs]
    with grouped_depthwise():
        traced = network.get_concrete_function(*specs)
    model = ov.convert_model(traced, input=shapes)
    ov.save_model(model, graph, compress_to_fp16=False)


if __name__ == "__main__":
    frames, height, width, channels = map(int, sys.argv[3:7])
    export(Path(sys.argv[1]), Path(sys.argv[2]), (frames, height, width, channels))
