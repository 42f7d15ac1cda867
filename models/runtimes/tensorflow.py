"""Running a saved network in TensorFlow: batched in mixed precision on a GPU, plain float32 on a CPU."""

from __future__ import annotations

import os
import threading
from typing import Any

os.environ.setdefault(
    "KERAS_BACKEND", "tensorflow"
)  # a user's keras.json may name another; this runtime needs this one

import keras
import numpy as np
import tensorflow as tf

from models.conversion.graph import uint8_network
from models.errors import RuntimeUnavailableError
from models.runtimes.runner import Clips, Floats, Precision, RuntimeOptions, check_boxes
from models.weights.cards import ClipShape, ModelCard
from models.weights.saved_network import load_network

GPU_BATCH = 8


def load(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions, *, xla: bool = False) -> TensorFlowRunner:
    """→ runner, compiled by XLA if asked for.

    Raises CardError for a broken model file, RuntimeUnavailableError when Keras has another backend or the precision
    is none of TensorFlow's.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeUnavailableError(
            f"runtime tensorflow needs KERAS_BACKEND=tensorflow, Keras runs on {keras.backend.backend()}"
        )
    if options.precision is Precision.INT8:
        raise RuntimeUnavailableError("runtime tensorflow computes in f32 or bf16, not in int8")
    gpu = prepare(options)
    precision = _precision(options.precision, gpu)
    model = network_in(card, precision)
    runner = TensorFlowRunner(uint8_network(model, clip_shape, xla), clip_shape, precision, gpu)
    if xla:
        runner.description = runner.description.replace("TensorFlow", "TensorFlow XLA")
    return runner


def load_xla(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> TensorFlowRunner:
    """→ runner compiled by XLA, for GPUs; loading compiles every batch size that calls are cut into.

    On CPUs XLA's 3D convolutions are slow: SE-I3D on a 64×224² clip takes five times the CPU time of TensorFlow
    without it (4.9 s against 0.95 s on the same two cores). ``auto`` therefore tries this runtime only where there is
    a GPU. Raises as ``load``.
    """
    return load(card, clip_shape, options, xla=True)


def network_in(card: ModelCard, precision: Precision) -> Any:
    """→ keras.Model as ``load_network`` gives it, in mixed bfloat16 if asked for. Raises CardError."""
    model = load_network(card)
    return _in_mixed_bf16(model) if precision is Precision.BF16 else model


class TensorFlowRunner:
    """Calls one ``tf.function``. Batches are padded to powers of two, so that a GPU meets few distinct shapes."""

    shares_clips = True

    def __init__(self, function: Any, clip_shape: ClipShape, precision: Precision, gpu: bool) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._gpu = gpu
        self._wants_boxes = len(function.input_signature) > 1
        self.preferred_batch = GPU_BATCH if gpu else 1
        self.description = f"TensorFlow {tf.__version__} {precision.value} on {'GPU' if gpu else 'CPU'}"
        size = self.preferred_batch
        while size >= 1:  # every batch size met later is traced and tuned now
            whole = np.tile(np.array([0, 0, 1, 1], np.float32), (size, 1)) if self._wants_boxes else None
            self(np.zeros((size, *clip_shape), np.uint8), whole)
            size //= 2

    def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        check_boxes(clips, boxes, self._wants_boxes)
        inputs: list[Any] = [clips] if boxes is None else [clips, boxes]
        step = self.preferred_batch
        with self._lock:
            if boxes is not None and len(clips) == 1:  # several people of one scene, whose features are computed once
                return self._run(inputs)
            parts = [self._run([each[at : at + step] for each in inputs]) for at in range(0, len(clips), step)]
        return np.concatenate(parts)

    def _run(self, inputs: list[Any]) -> Floats:
        count = len(inputs[-1])
        padded = [tf.constant(_padded(each)) for each in inputs]
        return np.asarray(self._function(*padded).numpy()[:count], np.float32)


def _padded(batch: Any) -> Any:
    """(N, …) → the same with rows of zeros up to the next power of two."""
    missing = (1 << (len(batch) - 1).bit_length()) - len(batch)
    return np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)]) if missing else batch


def _precision(wanted: Precision, gpu: bool) -> Precision:
    """bf16 where a GPU computes it natively (compute capability 8 and up); float32 everywhere else unless asked for."""
    if wanted is not Precision.AUTO:
        return wanted
    if not gpu:
        return Precision.F32
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return Precision.BF16 if details.get("compute_capability", (0, 0)) >= (8, 0) else Precision.F32


def _in_mixed_bf16(model: Any) -> Any:
    """→ the same network whose layers compute in bfloat16; weights stay float32, layers pinned to float32 too."""

    pinned = {"clip", "boxes", "Logits_Conv3d_0c_1x1", "Predictions", *model.output_names}

    def mixed(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return _in_mixed_bf16(layer)
        config = layer.get_config()
        if layer.name in pinned:
            return layer.__class__.from_config(config)
        return layer.__class__.from_config({**config, "dtype": "mixed_bfloat16"})

    clone = keras.models.clone_model(model, clone_function=mixed)
    clone.set_weights(model.get_weights())
    return clone


def prepare(options: RuntimeOptions) -> bool:
    """Set TensorFlow up before its first computation; → whether there is a GPU. Raises RuntimeUnavailableError."""
    gpu = prepare_gpus()
    if options.threads is not None:
        limit_threads(options.threads)
    return gpu


def prepare_gpus() -> bool:
    """Whether there is a GPU; TensorFlow then takes its memory as needed, because the detector lives there too."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # TensorFlow has started already: a second network, memory was settled with the first
            break
    return bool(gpus)


def limit_threads(threads: int) -> None:
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise RuntimeUnavailableError(f"TensorFlow has started already, its threads are fixed: {error}") from error
