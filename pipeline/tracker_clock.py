"""When the tracker counts people as seen, the same, or gone: the rules, and media time with its pace of detections."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.pace import LATE, Pace

MISSED = 2.5  # one detection misses a person, and the next one comes a little late


@dataclass(frozen=True)
class TrackerConfig:
    """When people count as seen, the same, or gone. Times are media seconds."""

    start: float = 0.6  # a detection from here on may start a track
    strong: float = 0.6  # one from here on is matched first, and brings back lost people
    weak: float = 0.1  # one from here on may continue a visible person's track
    max_iou_distance: float = 0.85  # strong detections
    max_weak_iou_distance: float = 0.6
    certainty: float = 2.5  # deviations by which a returning person must look closer than different people do
    appearance_weight: float = 0.3
    confirm_hits: int = 3
    confirm_s: float = 0.15
    tentative_s: float = 0.25  # how long an unconfirmed track may be unseen; longer where detections are rare
    coast_s: float = 1.0  # how long an unseen person is still reported, found again by position; longer likewise
    rare_s: float = 0.3  # detections this far apart are rare: two that are sure confirm a person
    memory_s: float = 5.0  # how long an unseen person is found again by appearance
    reach_heights_per_s: float = 1.0  # how far an unseen person may have walked
    nn_budget: int = 30
    refresh_s: float = 1.0  # the gallery gets a new feature this often even where position is clear
    border: float = 0.01  # of the image: an unseen person whose box comes this close to its edge has left

    @classmethod
    def starting_at(cls, confidence: float) -> TrackerConfig:
        """The usual values, but that detections from ``confidence`` on may start a track."""
        return cls(start=confidence, strong=min(confidence, cls.strong), weak=min(confidence, cls.weak))

    def __post_init__(self) -> None:
        if not 0 <= self.weak <= self.strong <= self.start <= 1:
            raise ValueError(
                f"expected 0 <= weak <= strong <= start <= 1, got {self.weak}, {self.strong}, {self.start}"
            )
        if self.nn_budget < 1 or self.confirm_hits < 1:
            raise ValueError("nn_budget and confirm_hits must be 1 or more")
        if not 0 < self.coast_s <= self.memory_s:
            raise ValueError(f"expected 0 < coast_s <= memory_s, got {self.coast_s} and {self.memory_s}")


@dataclass
class TrackerClock:
    """What tracks need to know of the tracker: media time of the detected frame at hand, and the rules.

    Limits that are shorter than the interval between detections would lose everybody from one to the next.
    """

    config: TrackerConfig
    time_s: float = 0.0
    pace: Pace = field(default_factory=Pace)

    def advance(self, time_s: float) -> None:
        """To the next detected frame."""
        self.pace.note(time_s)
        self.time_s = time_s

    @property
    def interval_s(self) -> float:
        """Between detections; 0 until two were there."""
        return self.pace.interval_s

    @property
    def tentative_s(self) -> float:
        """How long an unconfirmed track may be unseen: until the next detection, however rare they are."""
        return self.pace.at_least(self.config.tentative_s, LATE)

    @property
    def coast_s(self) -> float:
        """How long an unseen person is reported and found by position: one detection may miss him."""
        return self.pace.at_least(self.config.coast_s, MISSED)

    @property
    def memory_s(self) -> float:
        """How long an unseen person is found again by appearance."""
        return max(self.config.memory_s, self.coast_s)
