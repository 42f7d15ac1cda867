"""What a stream asks of the machine, and what the machine answers: plain values that cross processes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from service.budget.costs import Cost

UNLIMITED_HZ = 1e6  # detections a second: more than any camera or file has pictures


class Tier(str, Enum):
    """Which of a model's two networks: its own, or the cheaper one with the same labels (``ModelCard.light``)."""

    FULL = "full"
    LIGHT = "light"


class TierChoice(str, Enum):
    """What somebody asked for. ``AUTO`` leaves it to the machine."""

    AUTO = "auto"
    FULL = "full"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """What one stream asks of the machine now.

    ``frames_per_s`` as the camera sends them; ``people`` confirmed ones in view, ``settled`` those of them who stand
    still with a sure label. ``stride``: frames from one detection to the next as it is now, which may be more than
    the plan asks for where a detection takes longer than there is time between two frames.
    """

    frames_per_s: float
    people: float
    settled: float = 0.0
    stride: int = 1

    def __post_init__(self) -> None:
        """It comes from another process, and one worker plans with it for all. Raises ValueError."""
        for name in ("frames_per_s", "people", "settled"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}: expected a finite number that is not negative, got {value}")
        if self.stride < 1:
            raise ValueError(f"stride: expected at least 1, got {self.stride}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one stream may ask for now.

    ``hop_s`` is the least media time between two clips of a person, ``settled_hop_s`` of one who stands still with a
    sure label; 0: every clip that the buffers give. ``image_size`` is the detector's input side, 0 as configured;
    ``detections_per_s`` at most. ``poses_hz``: of how many pictures a second joints may be looked for, 0: of none
    (``no_poses`` says why, where the stream wants them; ``no_poses_ever``: no time will change that). ``reason`` is for
    people.
    """

    tier: Tier = Tier.FULL
    hop_s: float = 0.0
    settled_hop_s: float = 0.0
    image_size: int = 0
    detections_per_s: float = UNLIMITED_HZ
    reason: str = ""
    poses_hz: float = 0.0
    no_poses: str = ""
    no_poses_ever: bool = False


@dataclass(frozen=True, slots=True)
class BudgetView:
    """What the budget does now, for people: the rung, what it gives every stream, and the sums behind it.

    ``step`` 0 of ``steps`` is the best rung. ``taken``: cores that others use, None until looked at; ``capacity``:
    those for detection and classification, ``need``: what the rung takes of them. ``costs``: by name of work.
    """

    step: int
    steps: int
    plan: Plan
    cores: float
    taken: float | None
    capacity: float
    need: float
    cameras: int
    people: float
    costs: Mapping[str, Cost] = field(default_factory=dict)


POSES_HZ = (10.0, 6.0)  # as it should be, and the least that a quick repetition is seen with
UNPLANNED = Plan()  # until the worker has said something
EVERYTHING = Plan(reason="a file waits for every stage", poses_hz=POSES_HZ[0])
QUICK_FILE = Plan(
    Tier.LIGHT,
    hop_s=1.0,
    settled_hop_s=2.0,
    image_size=480,
    detections_per_s=10.0,
    reason="a file, in a hurry",
    poses_hz=POSES_HZ[0],
)
