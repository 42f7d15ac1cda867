"""A pose network that always finds the same bodies, as a file that OpenVINO reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as ops

from pipeline.entities import Floats

METADATA = "task: pose\nstride: 32\nnames:\n  0: person\nkpt_shape: [17, 3]\n"


def column(box_xywh: Sequence[float], confidence: float, keypoints: Floats) -> Floats:
    """→ float32 (56,): one anchor of a YOLO pose network, in pixels of its input."""
    return np.concatenate([np.array([*box_xywh, confidence], np.float32), keypoints.ravel()])


def write_network(folder: Path, output: Floats, size: int = 64) -> Path:
    """→ the folder with a network of (1, 3, size, size) whose answer is ``output``, whatever it sees."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = ops.parameter([1, 3, size, size], np.float32)
    nothing = ops.multiply(ops.reduce_mean(picture, np.array([0, 1, 2, 3]), keep_dims=False), np.float32(0))
    model = openvino.Model([ops.add(ops.constant(output[None]), nothing)], [picture])
    openvino.save_model(model, folder / "pose.xml", compress_to_fp16=False)
    (folder / "metadata.yaml").write_text(METADATA)
    return folder
