"""Which settings of the smoother to ship: every combination played over the folds' answers, and the best one taken.

The goal is no more than ``MOST_FALSE`` false events an hour on the calm videos with a median delay of ``LATEST_S``; the
best is what finds the most videos that show the class within the limits. Since a choice is made on the very videos that
it is told of, it is made again for each fold on the other folds alone, and what these choices give on their own fold is
put together: that is to be expected of videos on which nobody has chosen anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from models.evaluation.videos.event_curve import CurvePoint, Outcome, Watched, outcome, summed
from pipeline.actions import Evidence, SmootherConfig

MOST_FALSE, LATEST_S = 2.0, 1.5  # an hour; seconds
ON = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975)
MIN_DURATION_S = (0.0, 0.5)
CLIPS = (1, 2)
TIME_CONSTANT_S = (0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Setting:
    """One combination."""

    needs: Evidence
    time_constant_s: float = 1.0

    def smoother(self, label: str) -> SmootherConfig:
        """Only ``label`` is told, which costs less."""
        return SmootherConfig(self.time_constant_s, thresholds={label: self.needs.on}, evidence={label: self.needs})


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting and what it gives on each video, in the order of the videos."""

    setting: Setting
    outcomes: tuple[Outcome, ...]

    def on(self, videos: Sequence[int]) -> CurvePoint:
        return summed([self.outcomes[index] for index in videos], self.setting.needs.on)


def settings() -> list[Setting]:
    each = product(TIME_CONSTANT_S, MIN_DURATION_S, CLIPS, ON)
    return [Setting(Evidence(on, duration_s, clips), constant_s) for constant_s, duration_s, clips, on in each]


def tried(label: str, watched: Sequence[Watched], which: Sequence[Setting]) -> list[Tried]:
    """Every setting on every video."""
    watched = [replace(each, replay=each.replay.thinned()) for each in watched]
    return [
        Tried(setting, tuple(outcome(label, each, setting.smoother(label)) for each in watched)) for setting in which
    ]


def best(
    each: Sequence[Tried], videos: Sequence[int], most_false: float = MOST_FALSE, latest_s: float = LATEST_S
) -> Tried | None:
    """The best on these ``videos`` (indices); None where no setting keeps the limits."""
    figures = [(candidate, _figures([candidate.outcomes[index] for index in videos])) for candidate in each]
    within = [pair for pair in figures if pair[1].false_per_hour <= most_false and pair[1].delay_s <= latest_s]
    return max(within, key=lambda pair: _merit(pair[1]), default=(None, None))[0]


def chosen_elsewhere(
    each: Sequence[Tried], folds: Sequence[int], most_false: float = MOST_FALSE, latest_s: float = LATEST_S
) -> CurvePoint | None:
    """``folds``: of each video. What is found on a fold by the choice that the other folds make."""
    joined: list[Outcome] = []
    for fold in sorted(set(folds)):
        others = [index for index, other in enumerate(folds) if other != fold]
        choice = best(each, others, most_false, latest_s)
        if choice is None:
            return None
        joined += [choice.outcomes[index] for index, other in enumerate(folds) if other == fold]
    return summed(joined, 0.0)


@dataclass(frozen=True, slots=True)
class _Figures:
    """Without intervals, which cost more than all else. ``delay_s``: the median, infinite where nothing is found."""

    false_per_hour: float
    found: float
    delay_s: float


def _figures(outcomes: Sequence[Outcome]) -> _Figures:
    calm = [each for each in outcomes if each.kind is not None]
    hours, events = sum(each.hours for each in calm), sum(each.false_events for each in calm)
    delays_s = np.concatenate([np.zeros(0), *(each.video_delays_s for each in outcomes)])
    found = delays_s[~np.isnan(delays_s)]
    return _Figures(
        false_per_hour=events / hours if hours else 0.0,
        found=len(found) / max(1, len(delays_s)),
        delay_s=float(np.median(found)) if len(found) else np.inf,
    )


def _merit(figures: _Figures) -> tuple[float, float, float]:
    """More found; then fewer false events; then the earlier."""
    return figures.found, -figures.false_per_hour, -figures.delay_s


def false_rate(each: Tried) -> float:
    """False events an hour on all videos, as ``best`` counts them."""
    return _figures(each.outcomes).false_per_hour
