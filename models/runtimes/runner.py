"""One saved network → something that takes uint8 clips and gives logits, on the runtime that suits the machine.

This module only chooses; each runtime has its own file, imported when it is chosen, so that a process that runs
OpenVINO never pays for TensorFlow. A further runtime is one more file and one more line in ``_LOADERS``.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import ExportError, RuntimeUnavailableError
from models.runtimes.flow_input import channels, for_pictures, network_shape
from models.weights.cards import ModelCard

if TYPE_CHECKING:
    from models.runtimes.choice import Choice

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
    """``threads`` None takes all cores; ``cache_dir`` None keeps converted networks in the weights folder.

    ``measure`` lets ``auto`` time what is installed where no earlier result is kept for this host and network: some
    seconds in processes of its own (``models.runtimes.choice``), meant for the start of a service.
    """

    precision: Precision = Precision.AUTO
    threads: int | None = None
    cache_dir: Path | None = None
    measure: bool = False

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")


class Runner(Protocol):
    """A loaded network. Calls from several threads take turns."""

    description: str  # what runs where, and why, for people: ``OpenVINO 2026.4 bf16 on CPU, 2 threads``

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
    "tensorflow": "models.runtimes.tensorflow",
    "tensorflow-xla": "models.runtimes.tensorflow_xla",
    "openvino": "models.runtimes.openvino",
    "onnx": "models.runtimes.onnx",
    "litert": "models.runtimes.litert",
    "savedmodel": "models.runtimes.savedmodel",
}
AUTO = "auto"
RUNTIMES: tuple[str, ...] = (AUTO, *_LOADERS)
_LOG = logging.getLogger(__name__)


def load_runner(
    card: ModelCard,
    runtime: str = AUTO,
    options: RuntimeOptions = RuntimeOptions(),
    clip_shape: ClipShape | None = None,
) -> Runner:
    """Load ``card``'s network for clips of ``clip_shape`` (default: the card's).

    Networks that read optical flow get it computed from the clips (``models.runtimes.flow_input``); with a
    ``clip_shape`` of the channels that they are given, they take such arrays themselves.

    ``runtime`` is a name in ``RUNTIMES``, with the precision after a colon if one is meant (``openvino:int8``).
    ``auto`` is what the card says; where that is ``auto`` too, what was measured to be fastest on this host, else
    TensorFlow when a GPU is there and OpenVINO otherwise. Raises RuntimeUnavailableError when the runtime is unknown,
    not installed, or cannot run this network.
    """
    shape = clip_shape or card.clip_shape
    if shape[3] != channels(card):
        return for_pictures(load_runner(card, runtime, options, network_shape(card, shape)), card)
    name, precision = parse_runtime(card.runtime if runtime == AUTO else runtime)
    if precision is not Precision.AUTO:
        options = replace(options, precision=precision)
    if name != AUTO:
        return _load(name, card, shape, options)
    choice = None if options.precision is not Precision.AUTO else _measured(card, shape, options)
    if choice is None:
        return _load(rule(), card, shape, options)
    try:
        runner = _load(choice.runtime, card, shape, replace(options, precision=choice.precision))
    except (
        RuntimeUnavailableError,
        ExportError,
    ) as error:  # an export was damaged since, a driver is gone: the show goes on
        _LOG.warning("%s: runtime auto takes %s instead of its first choice: %s", card.name, rule(), error)
        return _load(rule(), card, shape, options)
    runner.description = f"{runner.description}; {choice.reason}"
    return runner


def parse_runtime(text: str) -> tuple[str, Precision]:
    """``openvino:int8`` → its name and precision (AUTO where none is said). Raises RuntimeUnavailableError."""
    name, colon, precision = text.partition(":")
    if name not in RUNTIMES:
        raise RuntimeUnavailableError(f"runtime must be one of {', '.join(RUNTIMES)}; got {name!r}")
    if not colon:
        return name, Precision.AUTO
    known = [each.value for each in Precision]
    if precision not in known:
        raise RuntimeUnavailableError(f"after {name}: there must be one of {', '.join(known)}; got {precision!r}")
    return name, Precision(precision)


def rule() -> str:
    """What ``auto`` is where nothing was measured: TensorFlow when a GPU is there, else OpenVINO."""
    return "tensorflow" if gpu_present() else "openvino"


def _load(name: str, card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> Runner:
    try:
        loader: Loader = importlib.import_module(_LOADERS[name]).load
    except ImportError as error:
        raise RuntimeUnavailableError(f"runtime {name} is not installed here: {error}") from error
    return loader(card, clip_shape, options)


def _measured(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> Choice | None:
    from models.runtimes.choice import choose  # noqa: PLC0415  # it builds on this module

    return choose(card, clip_shape, options)


def check_boxes(clips: Clips, boxes: Floats | None, wanted: bool) -> None:
    """Raises ValueError unless ``boxes`` are there exactly when the network wants them, one for each clip.

    One clip may have several boxes: people of the same scene.
    """
    if wanted and (boxes is None or boxes.ndim != 2 or boxes.shape[1] != 4 or len(clips) not in (1, len(boxes))):
        got = "none" if boxes is None else f"an array {boxes.shape}"
        raise ValueError(f"this network wants boxes float32 ({len(clips)}, 4), one for each clip; got {got}")
    if not wanted and boxes is not None:
        raise ValueError("this network takes clips only, got boxes too")


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
