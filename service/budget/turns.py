"""Whose clip is worth classifying now, by what is to be gained: new people first, then those whose label is unsure or
changing or who are close to others, last those who stand still with a sure label.

The plan says how long a person waits between two clips. Who has stood still with a sure label waits longer and longer,
up to the plan's ``settled_hop_s``, and has a turn at once when box or picture begin to move. What a turn is worth
(``gain``) grows with the time waited, so that nobody starves where there are more clips than the worker can take.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.entities import Clip, Floats, Image, Track, TrackLabel, TrackState
from service.budget.plan import Plan

NEW, UNSURE, NEAR, MOVING, SETTLED = 20.0, 3.0, 2.0, 1.0, 0.5  # gain for each second waited


@dataclass(frozen=True)
class TurnsConfig:
    """Distances are in heights of the person, ``picture_moved`` in grey levels of 0..255."""

    sure: float = 0.75  # confidence from which a label is sure
    changing_s: float = 2.0  # so long after its action changed a label counts as changing
    near: float = 0.4  # gap between two boxes under which what one does may concern the other
    box_moved: float = 0.15  # since the last clip
    picture_moved: float = 10.0
    settle_s: float = 2.0  # so long still and sure: settled
    growth: float = 2.0  # of a settled person's hop, each time


@dataclass
class _Turn:
    """What is known of one person's turns. ``hop_s``: of a settled person, else 0."""

    taken_s: float = -math.inf  # of the last clip taken
    box: Floats | None = None  # float32 (4,) at the last look
    sketch: Floats | None = None  # float32 (16, 16) of the newest crop at the last look
    moved_s: float = -math.inf
    action: str | None = None
    changed_s: float = -math.inf
    hop_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A clip to classify, and what is gained by it for each second that it waits."""

    clip: Clip
    gain: float


class Turns:
    """The turns of one stream. Not thread-safe: it belongs to the stream's own thread."""

    def __init__(self, config: TurnsConfig = TurnsConfig()) -> None:
        self._config = config
        self._turns: dict[int, _Turn] = {}
        self._left_out = 0

    @property
    def left_out(self) -> int:
        """Clips that were ready and had no turn, since little was to be gained by them."""
        return self._left_out

    @property
    def settled(self) -> int:
        """People who stand still with a sure label."""
        return sum(turn.hop_s > 0 for turn in self._turns.values())

    def choose(
        self, clips: Iterable[Clip], tracks: Sequence[Track], labels: Mapping[int, TrackLabel], plan: Plan
    ) -> list[Chosen]:
        """→ of the clips that are ready, those to classify. ``labels``: what is known of each track until now."""
        present = {track.track_id: track for track in tracks if track.state is TrackState.CONFIRMED}
        self._turns = {track_id: turn for track_id, turn in self._turns.items() if track_id in present}
        if plan.hop_s <= 0:
            return [Chosen(clip, MOVING) for clip in clips]
        chosen: list[Chosen] = []
        for clip in clips:
            track = present.get(clip.track_id)
            gain = 0.0 if track is None else self._gain(clip, track, present.values(), labels.get(clip.track_id), plan)
            if gain > 0:
                chosen.append(Chosen(clip, gain))
            else:
                self._left_out += 1
        return chosen

    def _gain(self, clip: Clip, track: Track, people: Iterable[Track], label: TrackLabel | None, plan: Plan) -> float:
        """→ what the clip is worth, 0: nothing now."""
        turn = self._turns.setdefault(clip.track_id, _Turn())
        self._look(turn, clip, track, label)
        kind = self._kind(turn, clip, track, people, label)
        self._settle(turn, kind, plan)
        if clip.end_s - turn.taken_s < (turn.hop_s or plan.hop_s) - 1e-6 and kind != NEW:
            return 0.0
        if kind == SETTLED:
            turn.hop_s = min(plan.settled_hop_s, turn.hop_s * self._config.growth)
        turn.taken_s = clip.end_s
        return kind

    def _look(self, turn: _Turn, clip: Clip, track: Track, label: TrackLabel | None) -> None:
        """Notes whether the person moved since the last look, and whether the label's action changed."""
        sketch = sketched(clip.crops[-1]) if clip.box is None else None
        if self._moved(turn, track, sketch):
            turn.moved_s, turn.box, turn.sketch = clip.end_s, track.box_xyxy, sketch
        if label is not None and label.action != turn.action:
            turn.action, turn.changed_s = label.action, clip.end_s

    def _moved(self, turn: _Turn, track: Track, sketch: Floats | None) -> bool:
        if turn.box is None:
            return True
        height = max(1.0, float(turn.box[3] - turn.box[1]))
        if float(np.abs(track.box_xyxy - turn.box).max()) > self._config.box_moved * height:
            return True
        if sketch is None or turn.sketch is None:
            return False
        return float(np.abs(sketch - turn.sketch).mean()) > self._config.picture_moved

    def _kind(self, turn: _Turn, clip: Clip, track: Track, people: Iterable[Track], label: TrackLabel | None) -> float:
        if label is None:
            return NEW
        changing = clip.end_s - turn.changed_s < self._config.changing_s
        if label.provisional or label.confidence < self._config.sure or changing:
            return UNSURE
        if any(other.track_id != track.track_id and _gap(track, other) < self._config.near for other in people):
            return NEAR
        return MOVING if clip.end_s - turn.moved_s < self._config.settle_s else SETTLED

    def _settle(self, turn: _Turn, kind: float, plan: Plan) -> None:
        if kind != SETTLED:
            turn.hop_s = 0.0
        elif turn.hop_s == 0.0:
            turn.hop_s = min(plan.hop_s, plan.settled_hop_s)
        else:
            turn.hop_s = min(turn.hop_s, plan.settled_hop_s)


def sketched(crop: Image) -> Floats:
    """uint8 (H, W, 3) → float32 (≤ 16, ≤ 16): every so many-th pixel's mean grey, enough to see that it moved."""
    rows, columns = max(1, crop.shape[0] // 16), max(1, crop.shape[1] // 16)
    return np.asarray(crop[::rows, ::columns][:16, :16].mean(axis=2), np.float32)


def _gap(one: Track, other: Track) -> float:
    """Distance between two people's boxes in heights of the first; 0 where they overlap."""
    a, b = one.box_xyxy, other.box_xyxy
    across = max(0.0, float(max(a[0], b[0]) - min(a[2], b[2])))
    down = max(0.0, float(max(a[1], b[1]) - min(a[3], b[3])))
    return math.hypot(across, down) / max(1.0, float(a[3] - a[1]))
