"""Where people were while a recording ran: boxes by media time, between two analysed frames on a straight line."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Floats
from service.recording.sidecar import Seen, read_tracks

MAX_GAP_S = 1.0  # between two boxes of a person: longer, and nobody knows
_EDGE_S = 0.1  # beyond a person's first and last box


@dataclass(frozen=True, slots=True)
class Way:
    """One person: media times, rising, float64 (N,), boxes, float64 (N, 4), in parts of the picture, labels (N,)."""

    times_s: NDArray[np.float64]
    boxes: NDArray[np.float64]
    actions: tuple[str | None, ...]

    def at(self, time_s: float) -> Floats | None:
        """→ the box then, float32 (4,) in parts of the picture; None where it is not known."""
        first, last = float(self.times_s[0]), float(self.times_s[-1])
        after = int(np.searchsorted(self.times_s, time_s))
        inside = 0 < after < len(self.times_s)
        if not first - _EDGE_S <= time_s <= last + _EDGE_S:
            return None
        if inside and self.times_s[after] - self.times_s[after - 1] > MAX_GAP_S:
            return None
        return np.array([np.interp(time_s, self.times_s, self.boxes[:, side]) for side in range(4)], np.float32)

    def action_at(self, time_s: float) -> str | None:
        """→ the label of the analysed frame at or before that time."""
        before = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
        return self.actions[max(0, before)]


def read_ways(sidecar: Path, begin_s: float = -math.inf, end_s: float = math.inf) -> dict[int, Way]:
    """→ person → way, of the lines between two media times. Raises OSError."""
    found: defaultdict[int, dict[float, Seen]] = defaultdict(dict)
    for line in read_tracks(sidecar):
        if begin_s <= line.time_s <= end_s:
            for seen in line.people:
                found[seen.track_id][line.time_s] = seen
    return {track_id: _way(lines) for track_id, lines in sorted(found.items())}


def _way(lines: dict[float, Seen]) -> Way:
    times_s = sorted(lines)
    boxes = np.array([lines[time_s].box for time_s in times_s], np.float64)
    return Way(np.array(times_s), boxes, tuple(lines[time_s].action for time_s in times_s))
