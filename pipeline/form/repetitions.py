"""Counts how often a joint bends and straightens: a state machine with hysteresis over samples in media time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from statistics import median

from pipeline.form.exercises import FormRules
from pipeline.form.joints import Sample

GAP_S = 1.0  # without a sample for so long, what was under way is given up
MAX_SAMPLES = 1024  # of one repetition; more come only from a source that is no camera
_SMOOTH = 3  # samples whose median counts: one wrong pose moves nothing


class State(str, Enum):
    EXTENDED = "extended"
    FLEXED = "flexed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One repetition: its samples from the last extended one before it to the first after it."""

    samples: tuple[Sample, ...]

    @property
    def start_s(self) -> float:
        return self.samples[0].time_s

    @property
    def end_s(self) -> float:
        return self.samples[-1].time_s

    @property
    def turn(self) -> int:
        """Which sample is bent the most."""
        return min(range(len(self.samples)), key=lambda at: self.samples[at].angle_deg)

    @property
    def depth_deg(self) -> float:
        return self.samples[self.turn].angle_deg

    @property
    def limb(self) -> float:
        """The shin's or forearm's length in pixels: the longest but one, since a limb looks shorter, never longer."""
        return sorted(sample.limb for sample in self.samples)[-2:][0]

    @property
    def range_deg(self) -> float:
        """From the less extended of both ends."""
        return min(self.samples[0].angle_deg, self.samples[-1].angle_deg) - self.depth_deg


class RepetitionCounter:
    """One person at one exercise. Samples come in order of time; moments without one are left out.

    A sample counts once the one after it is there (the median of three), so a repetition is told one sample late. Who
    does not straighten up to ``extended_deg`` is counted when the next repetition begins.
    """

    def __init__(self, rules: FormRules) -> None:
        self._rules = rules
        self._recent: deque[Sample] = deque(maxlen=_SMOOTH)
        self._samples: list[Sample] = []  # from the top that the repetition under way began at
        self._low = self._peak = 0  # of the samples: the turning point, and the straightest since
        self.state = State.EXTENDED

    def update(self, sample: Sample) -> Attempt | None:
        """→ the repetition that this sample completes, if it does."""
        if self._recent and sample.time_s - self._recent[-1].time_s > GAP_S:
            self._forget()
        self._recent.append(sample)
        if len(self._recent) == 1:
            return self._take(sample)  # who begins extended need not stay so for two samples
        angle = median(each.angle_deg for each in self._recent)
        return self._take(replace(self._recent[-2], angle_deg=angle)) if len(self._recent) == _SMOOTH else None

    def finish(self) -> Attempt | None:
        """The last sample counts as it is: nothing follows it."""
        return self._take(self._recent[-1]) if len(self._recent) > 1 else None

    def _forget(self) -> None:
        self._recent.clear()
        self._begin([])

    def _begin(self, samples: list[Sample]) -> None:
        self.state, self._samples = State.EXTENDED, samples

    def _take(self, sample: Sample) -> Attempt | None:
        if self.state is State.FLEXED:
            return self._flexed(sample)
        if self._is_top(sample):
            self._begin([sample] if sample.posture else [])
        elif self._samples:
            self._bend(sample)
        return None

    def _is_top(self, sample: Sample) -> bool:
        """Straight, or straighter than anything since the last repetition."""
        straight = sample.angle_deg >= self._rules.extended_deg
        return straight or not self._samples or sample.angle_deg >= self._samples[0].angle_deg

    def _bend(self, sample: Sample) -> None:
        self._samples.append(sample)
        swing = self._samples[0].angle_deg - sample.angle_deg
        if sample.angle_deg <= self._rules.flexed_deg and swing >= self._rules.swing_deg:
            self.state, self._low, self._peak = State.FLEXED, len(self._samples) - 1, len(self._samples) - 1
        elif self._is_over(sample):
            self._begin([sample])

    def _flexed(self, sample: Sample) -> Attempt | None:
        self._samples.append(sample)
        top = self._top()
        if top is not None:
            return self._complete(top)
        if self._is_over(sample):  # sat down, or walks about with bent arms
            self._begin([])
        return None

    def _top(self) -> int | None:
        """→ which sample ends the repetition, None while none does: a straight one, or the highest before a descent."""
        newest, angles = len(self._samples) - 1, [each.angle_deg for each in self._samples]
        swing = self._rules.swing_deg
        if angles[newest] >= self._rules.extended_deg:
            return newest
        if angles[self._peak] - angles[self._low] < swing and angles[newest] < angles[self._low]:
            self._low = self._peak = newest
        elif angles[newest] >= angles[self._peak]:
            self._peak = newest
        risen, fallen = angles[self._peak] - angles[self._low], angles[self._peak] - angles[newest]
        return self._peak if risen >= swing and fallen >= swing / 2 else None

    def _complete(self, top: int) -> Attempt | None:
        done, rest = tuple(self._samples[: top + 1]), self._samples[top:]
        self._begin(rest[:1])
        for sample in rest[1:]:
            self._take(sample)
        return Attempt(done) if done[-1].time_s - done[0].time_s >= self._rules.least_s else None

    def _is_over(self, sample: Sample) -> bool:
        return sample.time_s - self._samples[0].time_s > self._rules.most_s or len(self._samples) > MAX_SAMPLES


def count(samples: Iterable[Sample], rules: FormRules) -> list[Attempt]:
    """→ all repetitions of a series that is over."""
    counter = RepetitionCounter(rules)
    found = [counter.update(sample) for sample in samples]
    return [attempt for attempt in (*found, counter.finish()) if attempt is not None]
