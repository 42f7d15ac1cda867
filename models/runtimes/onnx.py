"""Running a saved network in ONNX Runtime, from its ONNX export or from a file converted at the first start."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from models.errors import CardError, RuntimeUnavailableError
from models.runtimes.converted import ready
from models.runtimes.runner import Clips, Floats, RuntimeOptions, check_boxes
from models.weights.cards import MODEL_FILE, ClipShape, ModelCard
from models.weights.export_record import ExportFormat

GPU, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
GPU_BATCH = 8
_SEVERE = 3  # ONNX Runtime's level of errors: its warnings about graphs go to stderr, past Python's logging


def load(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> OnnxRunner:
    """→ runner. Precision is f32. Raises RuntimeUnavailableError, CardError, ExportError."""
    found = ready(card, ExportFormat.ONNX, clip_shape, options)
    runner = open_file(found.path, found.precision, options)
    if runner.classes != card.num_classes:
        raise CardError(f"{card.folder / MODEL_FILE} has {runner.classes} classes, its card says {card.num_classes}")
    return runner


def open_file(
    path: Path, precision: str, options: RuntimeOptions, providers: tuple[str, ...] | None = None
) -> OnnxRunner:
    """→ runner of an ONNX file on ``providers`` (default: a GPU where this build of ONNX Runtime has one, else CPU).

    Raises RuntimeUnavailableError when ONNX Runtime refuses the file.
    """
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads or os.cpu_count() or 1
    settings.log_severity_level = _SEVERE
    here = ort.get_available_providers()
    wanted = [each for each in providers or (GPU, CPU) if each in here]
    try:
        session = ort.InferenceSession(str(path), settings, providers=wanted)
    except RuntimeError as error:  # ONNX Runtime's own errors inherit it
        raise RuntimeUnavailableError(f"ONNX Runtime cannot load {path}: {error}") from error
    return OnnxRunner(session, precision, settings.intra_op_num_threads)


class OnnxRunner:
    """One session; on a CPU one clip at a time, since a batch takes its memory times its clips and is no faster."""

    def __init__(self, session: Any, precision: str, threads: int) -> None:
        self._session = session
        self._names = [each.name for each in session.get_inputs()]
        self._lock = threading.Lock()
        self.classes = int(session.get_outputs()[0].shape[-1])
        provider = session.get_providers()[0].removesuffix("ExecutionProvider")
        on_cpu = provider == "CPU"
        self.preferred_batch = 1 if on_cpu else GPU_BATCH
        self.description = f"ONNX Runtime {ort.__version__} {precision} on {provider}"
        self.description += f", {threads} threads" if on_cpu else ""
        clip = np.zeros((1, *session.get_inputs()[0].shape[1:]), np.uint8)
        whole = np.array([[0, 0, 1, 1]], np.float32) if len(self._names) > 1 else None
        self(clip, whole)  # the first inference prepares kernels and memory

    def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        check_boxes(clips, boxes, len(self._names) > 1)
        if boxes is not None and len(clips) < len(boxes):  # one scene, several people
            clips = np.broadcast_to(clips, (len(boxes), *clips.shape[1:]))
        step, count = self.preferred_batch, len(clips)
        inputs: list[Any] = [clips] if boxes is None else [clips, boxes]
        with self._lock:
            return np.concatenate(
                [self._run([each[at : at + step] for each in inputs]) for at in range(0, count, step)]
            )

    def _run(self, inputs: list[Any]) -> Floats:
        feed = dict(zip(self._names, map(np.ascontiguousarray, inputs), strict=True))
        return np.asarray(self._session.run(None, feed)[0], np.float32)


def providers_here() -> tuple[str, ...]:
    """What this build of ONNX Runtime can compute on."""
    return tuple(ort.get_available_providers())
