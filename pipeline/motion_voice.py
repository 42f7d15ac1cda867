"""A second opinion on every clip: what the way of a person's box says, put beside what a network saw in the crops.

``BoxHistory`` keeps where everybody was. When a network's scores come, ``MotionVoice`` takes the way during that very
clip, asks a small logistic regression (``MotionHead``), and gives back both opinions together: the mean of their log
probabilities, sharpened by a temperature. With twelve people around it costs 2 ms of a core, a network tens and more.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.clips import sample_grid
from pipeline.entities import ActionScores, Floats, Frame, Track, TrackState
from pipeline.motion import FEATURES, POSTURE, RATE_HZ, Doubles, Way, motion, without_doubles

KEPT_S = 15.0  # of boxes: a clip, and the time that its answer may take
MOST_FRAMES = 1500  # kept, however many a second come
LEAST_SAMPLES = 6  # a quarter of a second: below, nothing moves that could be measured
SHARE = 0.5  # of the boxes, beside the network's: both count alike
LEAST = 1e-4  # no class is thought less likely: one opinion must not outvote the other by being sure
_SLACK_S = 1e-3


@dataclass(frozen=True, slots=True)
class MotionHead:
    """A logistic regression on ``motion`` (F features, with or without ``posture``): ``coefficients`` (C, F) and
    ``intercepts`` (C,) after ``means`` and ``scales`` (F,) are taken off. ``share``: its weight beside the network's;
    ``temperature``: of both together.

    Raises ValueError for numbers that do not fit together.
    """

    labels: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]
    share: float = SHARE
    temperature: float = 1.0

    def __post_init__(self) -> None:
        classes = len(self.labels)
        features = {len(row) for row in (self.means, self.scales, *self.coefficients)}
        fits = features in ({FEATURES}, {FEATURES + POSTURE})
        if not fits or len(self.coefficients) != classes or len(self.intercepts) != classes:
            raise ValueError(
                f"expected {classes} classes and {FEATURES} features, or {FEATURES + POSTURE} with those of posture, "
                f"got {len(self.coefficients)} classes and {', '.join(map(str, sorted(features)))} features"
            )
        if not 0 <= self.share <= 1 or self.temperature <= 0 or min(self.scales) <= 0:
            raise ValueError("expected a share of 0..1, a temperature and scales above 0")

    @property
    def posture(self) -> bool:
        """Whether it reads these features, too."""
        return len(self.means) == FEATURES + POSTURE

    def log_chances(self, features: Doubles) -> Doubles:
        """(F,) → (C,) log probabilities."""
        standard = (features - np.asarray(self.means)) / np.asarray(self.scales)
        logits = np.asarray(self.coefficients) @ standard + np.asarray(self.intercepts)
        return np.asarray(logits - logits.max() - np.log(np.exp(logits - logits.max()).sum()))

    def beside(self, probabilities: Floats, features: Doubles) -> Floats:
        """What a network thinks, float32 (C,), and what this says of (F,) → both together, float32 (C,)."""
        seen = np.log(np.maximum(probabilities.astype(np.float64), LEAST))
        moved = np.maximum(self.log_chances(features), math.log(LEAST))
        logits = ((1 - self.share) * seen + self.share * moved) / self.temperature
        chances = np.exp(logits - logits.max())
        return np.asarray(chances / chances.sum(), np.float32)


@dataclass(slots=True)
class _Seen:
    """Everybody in one frame."""

    time_s: float
    track_ids: NDArray[np.int64]  # (N,)
    boxes: Doubles  # (N, 4)


class BoxHistory:
    """Where the confirmed people of one stream were, for the last ``KEPT_S``."""

    def __init__(self) -> None:
        self._frames: deque[_Seen] = deque(maxlen=MOST_FRAMES)
        self._epoch: int | None = None

    def see(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """One frame. A new ``frame.epoch`` or a time before the last frame's forgets what was."""
        if frame.epoch != self._epoch or (self._frames and frame.time_s < self._frames[-1].time_s):
            self._frames.clear()
        self._epoch = frame.epoch
        there = [track for track in tracks if track.state is TrackState.CONFIRMED]
        boxes = np.asarray([track.box_xyxy for track in there], np.float64).reshape(-1, 4)
        self._frames.append(_Seen(frame.time_s, np.asarray([track.track_id for track in there], np.int64), boxes))
        while frame.time_s - self._frames[0].time_s > KEPT_S:
            self._frames.popleft()

    def way(self, track_id: int, start_s: float, end_s: float) -> Way | None:
        """→ a person's way between two media times; None where too little of it is known."""
        inside = [seen for seen in self._frames if start_s - _SLACK_S <= seen.time_s <= end_s + _SLACK_S]
        own = [seen for seen in inside if track_id in seen.track_ids]
        if not own:
            return None
        shown = [own[index] for index in sample_grid([seen.time_s for seen in own], RATE_HZ)]
        if len(shown) < LEAST_SAMPLES:
            return None
        ids = sorted({int(other) for seen in own for other in seen.track_ids})
        boxes = np.full((len(ids), len(shown), 4), np.nan)
        for sample, seen in enumerate(shown):
            boxes[np.searchsorted(ids, seen.track_ids), sample] = seen.boxes
        place = ids.index(track_id)
        return without_doubles(Way(boxes[place], np.delete(boxes, place, axis=0)))


@dataclass
class MotionVoice:
    """Speaks beside networks. ``heads``: by the name of the network; one without is left alone. Not thread-safe."""

    heads: Mapping[str, MotionHead] = field(default_factory=dict)
    history: BoxHistory = field(default_factory=BoxHistory)

    def see(self, frame: Frame, tracks: Sequence[Track]) -> None:
        if self.heads:
            self.history.see(frame, tracks)

    def beside(self, scores: Iterable[ActionScores]) -> list[ActionScores]:
        """→ the scores with what boxes say in them, where that is known."""
        return [self._beside(each) for each in scores]

    def _beside(self, scores: ActionScores) -> ActionScores:
        head = self.heads.get(scores.model)
        if head is None or head.labels != scores.labels:
            return scores
        way = self.history.way(scores.track_id, scores.start_s, scores.end_s)
        if way is None:
            return scores
        return replace(scores, probabilities=head.beside(scores.probabilities, motion(way, head.posture)))
