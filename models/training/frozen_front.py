"""The part of a network that a training leaves as it is, run as fast as this machine can."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from models.layers import SqueezeExcite3D
from models.runtimes.host import gpu_present
from models.runtimes.openvino import choose_precision
from models.runtimes.runner import Precision
from models.runtimes.stem_blocks import fold_stem

Features = NDArray[np.float16]  # (t, h, w, c), or (F,) where depths pass the cut by
Front = Callable[[NDArray[np.float32]], Features]  # float (T, H, W, C) in [-1, 1] → features


def front_key(model: Any) -> str:
    """Hash of every weight that shapes the features. Gates that are still the identity do not count, so that networks
    with and without them share features.
    """
    digest = hashlib.sha256()
    for layer in model.layers:
        if isinstance(layer, SqueezeExcite3D) and _is_identity(layer):
            continue
        for weight in layer.weights:
            digest.update(f"{weight.path} {tuple(weight.shape)}".encode())
            digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()


def load_front(model: Any, clip_shape: tuple[int, int, int, int]) -> tuple[Front, str]:
    """→ the network as a function of one clip of ``clip_shape`` (T, H, W, C), and the name of what runs it.

    OpenVINO on a CPU under the TensorFlow backend (bf16 where the CPU multiplies it natively), else Keras.
    """
    if keras.backend.backend() == "tensorflow" and not gpu_present():
        return _openvino_front(model, clip_shape)
    return _keras_front(model), f"Keras on {keras.backend.backend()}"


def _keras_front(model: Any) -> Front:
    def features(clip: NDArray[np.float32]) -> Features:
        return np.asarray(model.predict_on_batch(clip[None])[0], np.float16)

    return features


def _openvino_front(model: Any, clip_shape: tuple[int, int, int, int]) -> tuple[Front, str]:
    import tensorflow as tf  # noqa: PLC0415 - trainings on JAX or PyTorch do without

    from models.conversion.openvino import openvino_graph  # noqa: PLC0415 - brings TensorFlow

    function = tf.function(lambda clip: model(clip, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec((1, *clip_shape), tf.float32))
    graph = openvino_graph(concrete, [(1, *clip_shape)])
    core = ov.Core()
    precision = choose_precision(Precision.AUTO, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision.value}
    fold_stem(graph, precision.value)
    request = core.compile_model(graph, "CPU", hints).create_infer_request()

    def features(clip: NDArray[np.float32]) -> Features:
        request.infer([np.ascontiguousarray(clip[None])], share_inputs=True)
        return np.asarray(request.get_output_tensor(0).data[0], np.float16)

    return features, f"OpenVINO {precision.value}"


def _is_identity(gate: Any) -> bool:
    return not any(np.any(keras.ops.convert_to_numpy(weight)) for weight in gate.expand.weights)
