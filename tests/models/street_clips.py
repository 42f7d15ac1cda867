"""Clips of the sample street for small networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.models.clips import read_video
from tests.support.places import STREET


def street_clips(count: int, frames: int, size: int) -> NDArray[np.uint8]:
    """uint8 (count, frames, size, size, 3): quarters of the picture at different times."""
    street, _ = read_video(STREET, 2 * size)
    quarters = [street[:, y : y + size, x : x + size] for y in (0, size) for x in (0, size)]
    step = (len(street) - frames) // count
    return np.stack([quarters[n % 4][n * step : n * step + frames] for n in range(count)])
