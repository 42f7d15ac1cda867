"""The vocabulary every stage speaks. Frozen values without vendor code; adapters convert into them.

Time: ``time_s`` is media time in seconds since the stream began (never goes back within a stream, also across
reconnects), ``captured_at`` is wall-clock Unix time of the frame, ``received_s`` is ``time.monotonic()``. Pixels are
RGB, boxes are ``x1, y1, x2, y2`` in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB 0..255
Floats = NDArray[np.float32]
Point = tuple[float, float]
Polygon = tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture.

    ``index`` counts decoded frames of the stream from 0 (so a gap is a drop). ``epoch`` grows by one whenever the
    picture's continuity breaks (reconnect, loop restart, change of size, jump of the timestamps): trackers and buffers
    start again then.
    """

    image: Image  # uint8 (H, W, 3) RGB
    index: int
    time_s: float
    captured_at: float
    received_s: float
    epoch: int = 0

    @property
    def size_hw(self) -> tuple[int, int]:
        return int(self.image.shape[0]), int(self.image.shape[1])


@dataclass(frozen=True, slots=True)
class Poses:
    """The bodies found in one frame, as 17 keypoints each in COCO's order (``form.joints`` names them)."""

    boxes_xyxy: Floats  # float32 (N, 4) pixels
    confidences: Floats  # float32 (N,) 0..1
    keypoints: Floats  # float32 (N, 17, 3): x, y in pixels, confidence 0..1

    def __len__(self) -> int:
        return int(self.boxes_xyxy.shape[0])


@dataclass(frozen=True, slots=True)
class Detections:
    """The people found in one frame.

    ``features`` rows are unit-length appearance vectors; a row of NaN (or ``None`` for all) says "not computed".
    """

    boxes_xyxy: Floats  # float32 (N, 4) pixels
    confidences: Floats  # float32 (N,) 0..1
    features: Floats | None = None  # float32 (N, D)

    def __len__(self) -> int:
        return int(self.boxes_xyxy.shape[0])


class TrackState(str, Enum):
    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Track:
    """One person with a lasting ID. ``coasting_s`` is media time since a detection last confirmed the box (0 = now)."""

    track_id: int
    box_xyxy: Floats  # float32 (4,) pixels, may reach over the image border
    state: TrackState
    confidence: float  # of the last matched detection
    coasting_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the picture that has a name. Points are x, y in parts of its width and height, the last joins the first
    (``zones.check_polygon`` says what a polygon must be).
    """

    name: str
    polygon: Polygon


@dataclass(frozen=True, slots=True)
class Clip:
    """What the classifier reads: ``T`` crops of one track, evenly spaced in media time.

    ``crops`` holds references into the rolling buffer; ``stack`` makes the array. A provisional clip has fewer real
    crops than ``T`` (``filled``) and was extended by playing them back and forth. ``first_sample`` numbers the oldest
    crop on the track's own time grid, so that two clips of one track tell by how many crops they are apart. ``box`` is
    where the person is when the pictures show the whole scene: x1 y1 x2 y2 as parts of its width and height.
    """

    track_id: int
    crops: tuple[Image, ...]  # T × uint8 (S, S, 3) RGB
    start_s: float
    end_s: float
    captured_at: float  # wall clock of the newest frame
    received_s: float  # monotonic clock of the newest frame
    filled: int
    provisional: bool = False
    first_sample: int = 0
    box: Floats | None = None  # float32 (4,) 0..1
    model: str = ""  # the network that it was cut for

    def stack(self) -> NDArray[np.uint8]:
        """→ uint8 (T, S, S, 3) RGB."""
        return np.stack(self.crops)


@dataclass(frozen=True, slots=True)
class ActionScores:
    """The classifier's answer for one clip. ``probabilities`` follows ``labels``; both have C entries."""

    track_id: int
    labels: tuple[str, ...]
    probabilities: Floats  # float32 (C,) sums to 1
    start_s: float
    end_s: float
    captured_at: float
    received_s: float
    provisional: bool = False
    model: str = ""  # the network that answered

    @classmethod
    def of(cls, clip: Clip, labels: tuple[str, ...], probabilities: Floats) -> ActionScores:
        """The answer for ``clip``, with whose it is and when it was."""
        return cls(
            track_id=clip.track_id,
            labels=labels,
            probabilities=probabilities,
            start_s=clip.start_s,
            end_s=clip.end_s,
            captured_at=clip.captured_at,
            received_s=clip.received_s,
            provisional=clip.provisional,
            model=clip.model,
        )


@dataclass(frozen=True, slots=True)
class TrackLabel:
    """What a track is doing now: the smoothed winner and the best few smoothed scores, highest first."""

    action: str
    confidence: float
    scores: Mapping[str, float]
    end_s: float  # media time of the newest clip behind it
    provisional: bool
    model: str = ""  # the network that answered for the newest clip


class EventKind(str, Enum):
    STARTED = "started"
    UPDATED = "updated"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ClipTally:
    """What the person's clips since an action began say of it, one by one; provisional clips do not count.

    ``count`` clips were judged; in ``share`` of them (0..1, 0 without any) the action was the first choice and reached
    its threshold. ``recent``: its probability in the newest of them, at most ``RECENT_CLIPS``, newest last.
    """

    count: int = 0
    share: float = 0.0
    recent: tuple[float, ...] = ()


NO_CLIPS = ClipTally()


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """One message of an action's life. All kinds of one action share ``event_id``; ``end_s`` is None until ended.

    ``zones``: where the person was then.
    """

    event_id: str
    track_id: int
    action: str
    kind: EventKind
    confidence: float
    start_s: float
    end_s: float | None
    captured_at: float
    model: str = ""  # the network behind the newest score
    clips: ClipTally = NO_CLIPS
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repetition:
    """One repetition of an exercise by one person. Times are media time in seconds.

    ``count``: which of this person and exercise it is, from 1. ``depth_deg``: the angle of the joint that bends (knee,
    elbow) at the turning point; ``range_deg``: by how much less that is than where the repetition began and ended.
    ``checks``: rule → whether it was broken; None where the picture does not show it. ``zones``: where the person was.
    """

    track_id: int
    exercise: str
    count: int
    start_s: float
    turn_s: float
    end_s: float
    depth_deg: float
    range_deg: float
    checks: Mapping[str, bool | None]
    captured_at: float
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Everything known about one frame after all stages. ``inside`` names zones by track_id; nobody's is left out.

    ``counted``: exercise and repetitions so far of those who did any, by track_id.
    """

    frame: Frame
    tracks: tuple[Track, ...]
    labels: Mapping[int, TrackLabel] = field(default_factory=dict)  # by track_id
    buffers: Mapping[int, int] = field(default_factory=dict)  # crops held, by track_id
    events: tuple[ActionEvent, ...] = ()
    detected: bool = True  # False: tracks coasted by design (detection stride)
    zones: tuple[Zone, ...] = ()  # of the stream
    inside: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    repetitions: tuple[Repetition, ...] = ()
    counted: Mapping[int, tuple[str, int]] = field(default_factory=dict)
