"""Running a saved network in LiteRT (TFLite), the runtime for small machines, with XNNPACK's kernels.

From its LiteRT export or from a file converted at the first start. Precisions are f32, f16 (weights) and int8 (kernels
in 8 bits, inputs of layers measured as they come).
"""

from __future__ import annotations

import os
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from models.errors import CardError, RuntimeUnavailableError
from models.runtimes.converted import ready
from models.runtimes.runner import Clips, Floats, RuntimeOptions, check_boxes
from models.weights.cards import MODEL_FILE, ClipShape, ModelCard
from models.weights.export_record import ExportFormat


def load(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> LiteRtRunner:
    """→ runner. Raises RuntimeUnavailableError, CardError, ExportError."""
    found = ready(card, ExportFormat.LITERT, clip_shape, options)
    runner = open_file(found.path, found.precision, options)
    if runner.classes != card.num_classes:
        raise CardError(f"{card.folder / MODEL_FILE} has {runner.classes} classes, its card says {card.num_classes}")
    return runner


def open_file(path: Path, precision: str, options: RuntimeOptions) -> LiteRtRunner:
    """→ runner of a .tflite file. Raises RuntimeUnavailableError when LiteRT refuses it."""
    threads = options.threads or os.cpu_count() or 1
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise RuntimeUnavailableError(f"LiteRT cannot load {path}: {error}") from error
    return LiteRtRunner(interpreter, precision, threads)


class LiteRtRunner:
    """One interpreter, one clip at a time."""

    preferred_batch = 1

    def __init__(self, interpreter: Any, precision: str, threads: int) -> None:
        self._interpreter = interpreter
        self._input = interpreter.get_input_details()[0]
        self._output = interpreter.get_output_details()[0]
        self._lock = threading.Lock()
        self.classes = int(self._output["shape"][-1])
        release = version("ai-edge-litert")
        self.description = f"LiteRT {release} {precision} on CPU, {threads} threads"
        self(np.zeros(self._input["shape"], np.uint8))  # the first inference prepares kernels and memory

    def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        check_boxes(clips, boxes, False)
        with self._lock:
            return np.concatenate([self._run(clips[at : at + 1]) for at in range(len(clips))])

    def _run(self, clip: Clips) -> Floats:
        self._interpreter.set_tensor(self._input["index"], np.ascontiguousarray(clip))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output["index"]), np.float32)
