"""What a stream's process and the inference process say to each other (``messages`` puts it onto the wire).

stream process → inference        Hello ChangeNetworks LoadReport DetectRequest PoseRequest ClipOffer ClipAnswer NoClip
                                  TrackGone
inference → stream process        Welcome PlanAdvice ModelProblem DetectAnswer PosesAnswer ClipWanted ScoresAnswer
                                  ShadowAnswer
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.budget.plan import Plan, StreamLoad, TierChoice
from service.processes.messages import ByteArray, message

FloatArray = NDArray[np.float32]


@message("hello")
@dataclass(frozen=True, slots=True)
class Hello:
    """``light``: the lighter network of ``model``, "" where there is none. ``poses``: whether joints are wanted."""

    stream_id: str
    model: str
    light: str = ""
    tier: TierChoice = TierChoice.AUTO
    poses: bool = False


@message("change_networks")
@dataclass(frozen=True, slots=True)
class ChangeNetworks:
    """Another version's networks answer for the stream from now on; answered by another ``Welcome``."""

    model: str
    light: str = ""


@message("load")
@dataclass(frozen=True, slots=True)
class LoadReport:
    """About once a second."""

    load: StreamLoad


@message("plan")
@dataclass(frozen=True, slots=True)
class PlanAdvice:
    """From now on."""

    plan: Plan


@message("welcome")
@dataclass(frozen=True, slots=True)
class Welcome:
    """``networks``: those that give these labels."""

    labels: tuple[str, ...]
    networks: tuple[str, ...] = ()


@message("model_problem")
@dataclass(frozen=True, slots=True)
class ModelProblem:
    reason: str


@message("detect")
@dataclass(frozen=True, slots=True, eq=False)
class DetectRequest:
    """``image``: uint8 (H, W, 3) RGB. ``expected_xyxy``: float32 (M, 4) pixels, where known people should be.

    ``image_size``: of the detector's input as the stream's plan says, 0 as configured.
    """

    request: int
    image: ByteArray
    expected_xyxy: FloatArray
    image_size: int = 0


@message("detections")
@dataclass(frozen=True, slots=True, eq=False)
class DetectAnswer:
    """``boxes_xyxy`` float32 (N, 4) pixels, ``confidences`` float32 (N,), ``features`` float32 (N, F) or None."""

    request: int
    boxes_xyxy: FloatArray
    confidences: FloatArray
    features: FloatArray | None


@message("pose")
@dataclass(frozen=True, slots=True, eq=False)
class PoseRequest:
    """A newer one of the same stream takes the place of one that waits. ``image``: uint8 (H, W, 3) RGB."""

    request: int
    image: ByteArray


@message("poses")
@dataclass(frozen=True, slots=True, eq=False)
class PosesAnswer:
    """``boxes_xyxy`` float32 (N, 4) pixels of the picture sent, ``confidences`` (N,), ``keypoints`` (N, 17, 3)."""

    request: int
    boxes_xyxy: FloatArray
    confidences: FloatArray
    keypoints: FloatArray


@message("offer")
@dataclass(frozen=True, slots=True)
class ClipOffer:
    """A new clip of the track waits in the stream's process. ``gain``: of its answer, for each second waited.

    ``age_s``: of the track's label, where that counts (``lending``).
    """

    track_id: int
    model: str
    gain: float
    age_s: float = 0.0


@message("want")
@dataclass(frozen=True, slots=True)
class ClipWanted:
    """The worker has time for the track's newest clip."""

    track_id: int


@message("clip")
@dataclass(frozen=True, slots=True, eq=False)
class ClipAnswer:
    """The pixels. ``crops``: uint8 (T, H, W, 3) RGB, None: those of the scene sent last. ``box``: float32 (4,) or None.

    Times do not cross: the stream's process keeps them beside what it sent.
    """

    track_id: int
    model: str
    first_sample: int
    filled: int
    crops: ByteArray | None
    box: FloatArray | None = None


@message("no_clip")
@dataclass(frozen=True, slots=True)
class NoClip:
    track_id: int


@message("scores")
@dataclass(frozen=True, slots=True, eq=False)
class ScoresAnswer:
    """``probabilities``: float32 (C,). ``shadow``: by which number a ``ShadowAnswer`` may follow; 0: none will."""

    track_id: int
    probabilities: FloatArray
    shadow: int = 0


@message("shadow_scores")
@dataclass(frozen=True, slots=True, eq=False)
class ShadowAnswer:
    """What the version that is tried says of the same clip. ``probabilities``: float32 (C,)."""

    shadow: int
    model: str
    labels: tuple[str, ...]
    probabilities: FloatArray


@message("forget")
@dataclass(frozen=True, slots=True)
class TrackGone:
    track_id: int
