"""The words of this room: what a runner is, what it takes and gives, and what runtimes and precisions are called.

``models.runtimes.load`` turns a card into one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import RuntimeUnavailableError

Clips = NDArray[np.uint8]  # (N, T, H, W, 3) RGB 0..255
Floats = NDArray[np.float32]

AUTO = "auto"  # what the card says, else what suits this machine (``models.runtimes.load``)
RUNTIMES = (AUTO, "tensorflow", "tensorflow-xla", "openvino", "onnx", "litert", "savedmodel")


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


def check_boxes(clips: Clips, boxes: Floats | None, wanted: bool) -> None:
    """Raises ValueError unless ``boxes`` are there exactly when the network wants them, one for each clip.

    One clip may have several boxes: people of the same scene.
    """
    if wanted and (boxes is None or boxes.ndim != 2 or boxes.shape[1] != 4 or len(clips) not in (1, len(boxes))):
        got = "none" if boxes is None else f"an array {boxes.shape}"
        raise ValueError(f"this network wants boxes float32 ({len(clips)}, 4), one for each clip; got {got}")
    if not wanted and boxes is not None:
        raise ValueError("this network takes clips only, got boxes too")
