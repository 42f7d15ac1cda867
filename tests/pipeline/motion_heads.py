"""A head made by hand: whoever moves, walks."""

from __future__ import annotations

from pipeline.motion import FEATURES
from pipeline.motion_voice import MotionHead

SPEED = 1  # the middle one of the feet's speeds, among the features


def speed_head(labels: tuple[str, ...] = ("standing", "walking"), share: float = 0.5) -> MotionHead:
    """The last label is certain from some half a height a second on, the first below."""
    row = tuple(8.0 if feature == SPEED else 0.0 for feature in range(FEATURES))
    rows = (*((0.0,) * FEATURES for _ in labels[1:]), row)
    return MotionHead(labels, (0.0,) * FEATURES, (1.0,) * FEATURES, rows, (*(0.0,) * (len(labels) - 1), -4.0), share)
