"""One saved network → something that takes uint8 clips and gives logits, on the runtime that suits the machine.

This module only chooses; each runtime has its own file, imported when it is chosen, so that a process that runs
OpenVINO never pays for TensorFlow. A further runtime is one more file and one more line in ``_LOADERS``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.cards import ModelCard
from models.errors import RuntimeUnavailableError

Clips = NDArray[np.uint8]  # (N, T, H, W, 3) RGB 0..255
Floats = NDArray[np.float32]
ClipShape = tuple[int, int, int, int]  # (T, H, W, 3)


class Precision(str, Enum):
    """Number format of the heavy arithmetic; weights on disk and logits are always float32."""

    AUTO = "auto"  # the fastest that this machine computes natively; each runtime documents its rule
    F32 = "f32"
    BF16 = "bf16"
    INT8 = "int8"  # needs a network quantised beforehand: `actoscope export MODEL --format openvino-int8`


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """``threads`` None takes all cores; ``cache_dir`` None keeps converted networks in the weights folder."""

    precision: Precision = Precision.AUTO
    threads: int | None = None
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")


class Runner(Protocol):
    """A loaded network. Calls from several threads take turns."""

    @property
    def description(self) -> str:
        """What runs where, for people: ``OpenVINO 2026.4 bf16 on CPU, 2 threads``."""

    @property
    def preferred_batch(self) -> int:
        """How many clips a call should hold for the best throughput."""

    def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        """uint8 (N, T, H, W, 3) RGB → float32 (N, C) logits.

        ``boxes`` float32 (N, 4), x1 y1 x2 y2 in 0..1 of the picture: the person that is meant, for networks that see
        whole scenes. A runner whose ``shares_clips`` is True also takes one clip with N boxes, N people of one scene.
        Raises ValueError when such a network gets no boxes, or another network gets some.
        """


Loader = Callable[[ModelCard, ClipShape, RuntimeOptions], Runner]

_LOADERS: dict[str, str] = {
    "tensorflow": "models.runtime_tensorflow",
    "openvino": "models.runtime_openvino",
}
RUNTIMES: tuple[str, ...] = ("auto", *_LOADERS)


def load_runner(
    card: ModelCard,
    runtime: str = "auto",
    options: RuntimeOptions = RuntimeOptions(),
    clip_shape: ClipShape | None = None,
) -> Runner:
    """Load ``card``'s network for clips of ``clip_shape`` (default: the card's).

    ``auto`` is TensorFlow when a GPU is there, else OpenVINO. Raises RuntimeUnavailableError when the runtime is
    unknown, not installed, or cannot run this network.
    """
    name = _choose(runtime)
    try:
        loader: Loader = importlib.import_module(_LOADERS[name]).load
    except ImportError as error:
        raise RuntimeUnavailableError(f"runtime {name} is not installed here: {error}") from error
    return loader(card, clip_shape or card.clip_shape, options)


def check_boxes(clips: Clips, boxes: Floats | None, wanted: bool) -> None:
    """Raises ValueError unless ``boxes`` are there exactly when the network wants them, one for each clip.

    One clip may have several boxes: people of the same scene.
    """
    if wanted and (boxes is None or boxes.ndim != 2 or boxes.shape[1] != 4 or len(clips) not in (1, len(boxes))):
        got = "none" if boxes is None else f"an array {boxes.shape}"
        raise ValueError(f"this network wants boxes float32 ({len(clips)}, 4), one for each clip; got {got}")
    if not wanted and boxes is not None:
        raise ValueError("this network takes clips only, got boxes too")


def _choose(runtime: str) -> str:
    if runtime == "auto":
        return "tensorflow" if gpu_present() else "openvino"
    if runtime not in _LOADERS:
        raise RuntimeUnavailableError(f"runtime must be one of {', '.join(RUNTIMES)}; got {runtime!r}")
    return runtime


def gpu_present() -> bool:
    """Whether TensorFlow can compute on a GPU here.

    TensorFlow is asked only where an NVIDIA driver is loaded, because asking costs its import (4 s, 0.6 GB).
    """
    if not (Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()):
        return False
    try:
        tensorflow = importlib.import_module("tensorflow")
    except ImportError:
        return False
    return bool(tensorflow.config.list_physical_devices("GPU"))
