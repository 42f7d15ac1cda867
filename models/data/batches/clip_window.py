"""Which pictures of a clip file a network gets: a window of it, or all of a short one played back and forth.

Indices come first and pixels second, so that RGB, optical flow and anything else kept by picture take the very same
window. A short run is played back and forth exactly as the service does with a short track
(``pipeline.clips.back_and_forth``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from models.errors import DatasetError
from pipeline.clips import back_and_forth

Clip = NDArray[np.uint8]  # (T, S, S, 3) RGB
Indices = NDArray[np.intp]  # (L,) numbers of pictures in the clip file
_SLACK = 1e-9  # keeps a quotient that should be whole from being rounded down


class WindowMode(str, Enum):
    """Where in a longer clip the window lies."""

    FIRST = "first"
    CENTRE = "centre"
    LAST = "last"
    RANDOM = "random"  # temporal jitter: anywhere


@dataclass(frozen=True, slots=True)
class WindowConfig:
    """``length`` pictures, every ``speed``-th of the file (0.5: each twice; 4: 16 pictures span 61).

    ``real``: the most pictures taken from the file, the others being these played back and forth: with 24 a clip
    looks as the service's first, provisional one does. None: as many as there are.
    Raises DatasetError for numbers below what makes sense.
    """

    length: int = 64
    mode: WindowMode = WindowMode.CENTRE
    speed: float = 1.0
    real: int | None = None

    def __post_init__(self) -> None:
        if self.length < 1 or not (math.isfinite(self.speed) and self.speed > 0):
            raise DatasetError(f"expected length >= 1 and speed > 0, got {self.length} and {self.speed}")
        if self.real is not None and not 1 <= self.real <= self.length:
            raise DatasetError(f"expected real between 1 and {self.length} (the length), got {self.real}")

    def available(self, total: int) -> int:
        """How many pictures of a file of ``total`` the window can take before it has to play them back and forth."""
        return min(self.real or self.length, samples(total, self.speed))


def samples(total: int, speed: float) -> int:
    """How many pictures of ``total`` are shown when every ``speed``-th is."""
    return math.floor((total - 1) / speed + _SLACK) + 1


DEFAULT_WINDOW = WindowConfig()


def window_indices(total: int, config: WindowConfig, rng: np.random.Generator | None = None) -> Indices:
    """→ (length,) numbers in 0 … ``total`` - 1. ``rng`` is needed for RANDOM only.

    Raises DatasetError for an empty clip and for RANDOM without ``rng``.
    """
    if total < 1:
        raise DatasetError("expected a clip with pictures in it, got an empty one")
    run = config.available(total)
    slack = max(0, math.floor(total - 1 - (run - 1) * config.speed + _SLACK))  # starts 0 … slack are possible
    picked = _start(slack, config.mode, rng) + np.floor(np.arange(run) * config.speed + 0.5).astype(np.intp)
    return np.asarray(np.minimum(picked, total - 1)[back_and_forth(run, config.length)], np.intp)


def window(clip: Clip, length: int, mode: WindowMode, rng: np.random.Generator | None = None) -> Clip:
    """uint8 (T, S, S, 3) → uint8 (length, S, S, 3), newly allocated. Errors as ``window_indices``."""
    return clip[window_indices(len(clip), WindowConfig(length, mode), rng)]


def _start(slack: int, mode: WindowMode, rng: np.random.Generator | None) -> int:
    if mode is WindowMode.RANDOM:
        if rng is None:
            raise DatasetError("a window at random needs a random generator")
        return int(rng.integers(0, slack + 1))
    return {WindowMode.FIRST: 0, WindowMode.CENTRE: slack // 2, WindowMode.LAST: slack}[mode]
