"""I3D of Kinetics-400 as it is, as a function from a clip to pooled features of three of its depths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from benchmarks.voice.views import Clip
from models.runtimes.openvino import choose_precision
from models.runtimes.runner import Precision

Row = NDArray[np.float16]
START = "i3d-kinetics400"
ENDPOINTS = ("Mixed_4c", "Mixed_4f", "Mixed_5c")
CHANNELS = (512, 832, 1024)


def pooled_i3d(weights: Path, length: int, size: int, threads: int) -> Callable[[Clip], Row]:
    """→ uint8 (length, size, size, 3) → float16 (2, 2368): means, then largest values, over time and space."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds to import

    from models.conversion.openvino import openvino_graph  # noqa: PLC0415 - brings TensorFlow

    model = _pooling(weights, size)
    function = tf.function(lambda clip: model(clip, training=False), autograph=False)
    shape = (1, length, size, size, 3)
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    request = compiled(openvino_graph(concrete, [shape]), threads).create_infer_request()

    def features(clip: Clip) -> Row:
        request.infer([clip[None].astype(np.float32) / np.float32(127.5) - np.float32(1)])
        return np.asarray(request.get_output_tensor(0).data[0], np.float16)

    return features


def compiled(graph: Any, threads: int) -> Any:
    core = ov.Core()
    precision = choose_precision(Precision.AUTO, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    hints = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision.value,
        "INFERENCE_NUM_THREADS": threads,
    }
    return core.compile_model(graph, "CPU", hints)


def _pooling(weights: Path, size: int) -> Any:
    import keras  # noqa: PLC0415 - takes seconds to import

    from models.networks.i3d import I3DConfig, build_i3d, features  # noqa: PLC0415
    from models.weights.start import copy_weights, read_start  # noqa: PLC0415

    model = build_i3d(I3DConfig(num_classes=2, size_hw=(size, size), gate=None))
    copy_weights(model, read_start(weights / START), keep_head=True)
    ends = [features(model, endpoint).output for endpoint in ENDPOINTS]
    kinds = (keras.ops.mean, keras.ops.amax)
    rows = [keras.ops.concatenate([kind(end, axis=(1, 2, 3)) for end in ends], axis=-1) for kind in kinds]
    return keras.Model(model.input, keras.ops.stack(rows, axis=1), name="voices")


def part(rows: Row, endpoints: Sequence[str]) -> NDArray[np.float32]:
    """(…, 2, 2368) → (…, F): the means of some endpoints."""
    ends = np.cumsum((0, *CHANNELS))
    picked = np.concatenate([np.arange(ends[at], ends[at + 1]) for at in map(ENDPOINTS.index, endpoints)])
    return rows[..., 0, :][..., picked].astype(np.float32)
