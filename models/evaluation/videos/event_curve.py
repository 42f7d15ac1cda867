"""What a user has of a class's events: how often one is false, how many of the true ones are found, and how late.

Against the threshold, each point from the service's own smoother. False are events on video in which the class does
not occur. An annotated action is found when an event of its class is told of that person and overlaps it in time; a
video that shows the class is found when it is told of anybody there. Delays are media time from the first labelled
frame (of a video: from its first one) to the frame after which the service spoke: what the machine needs for its work
comes on top.

Rates have the wider of two intervals: of a bootstrap over sources, and Poisson's (Garwood 1936), since where no event
came a bootstrap says that none ever will.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.evaluation.figures.bootstrap import SAMPLES, Interval, bootstrap, group_sums, poisson_interval
from models.evaluation.figures.metrics import Floats, Value, ratio
from models.evaluation.videos.event_metrics import labelled_actions
from models.evaluation.videos.metrics import VideoCase
from models.evaluation.videos.replay import Replay
from models.evaluation.videos.run import EventRun, VideoRun
from models.evaluation.videos.track_matching import people_of_tracks
from pipeline.actions import SmootherConfig

THRESHOLDS = tuple(round(float(value), 3) for value in (*np.arange(0.3, 0.9, 0.05), *np.arange(0.9, 1.0, 0.02)))


class KindRate(Value):
    """False events on videos of one kind."""

    kind: str
    videos: int
    hours: float
    false_events: int


class FoundShare(Value):
    """How many of ``count`` are found, and the delays of those. Without any found there is no delay."""

    count: int
    share: Interval
    delay_p50_s: float | None
    delay_p90_s: float | None


class CurvePoint(Value):
    """``actions``: annotated actions of single people; ``videos``: whole videos that show the class. None: no such."""

    threshold: float
    false_events: int
    false_per_hour: Interval | None
    kinds: tuple[KindRate, ...]
    actions: FoundShare | None
    videos: FoundShare | None


class EventCurve(Value):
    """One class. ``default``: the point of the settings that the service has; ``points``: by rising threshold."""

    label: str
    calm_videos: int
    calm_hours: float
    default: CurvePoint
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """Something that is to be found: when it begins, and which event (of the right class) finds it."""

    onset_s: float
    finds: Callable[[EventRun], bool]


@dataclass(frozen=True)
class Watched:
    """One video and what is true of one class in it. ``kind``: of a calm one, None where the class may occur.

    ``actions`` are those of single people; ``shown`` is the video as a whole.
    """

    replay: Replay
    group: str
    kind: str | None = None
    actions: tuple[TrueEvent, ...] = ()
    shown: tuple[TrueEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one setting gives on one video. Delays in seconds by true event; NaN: not found."""

    group: str
    kind: str | None
    hours: float
    false_events: int  # 0 where the class may occur
    action_delays_s: Floats
    video_delays_s: Floats


def true_actions(case: VideoCase, label: str) -> tuple[TrueEvent, ...]:
    """What is annotated of single people: the service has to tell it of the same person, while it goes on."""
    person_of, times = people_of_tracks(case.matches), np.asarray(case.run.times_s)

    def finder(person: int, span_s: Floats) -> Callable[[EventRun], bool]:
        return lambda event: (
            person_of.get(event.track_id) == person
            and bool(((span_s >= event.start_s - 1e-3) & (span_s <= event.end_s + 1e-3)).any())
        )

    actions = (action for action in labelled_actions(case) if action.label == label)
    return tuple(TrueEvent(float(times[each.span][0]), finder(each.person, times[each.span])) for each in actions)


def whole_video(run: VideoRun) -> tuple[TrueEvent, ...]:
    """The video shows the class from its beginning on; anybody's event finds it."""
    return (TrueEvent(run.times_s[0], lambda _: True),) if run.times_s else ()


def event_curve(
    label: str,
    watched: Sequence[Watched],
    config: SmootherConfig,
    thresholds: Iterable[float] = THRESHOLDS,
    seed: int = 0,
) -> EventCurve | None:
    """None where nothing could be found and nothing be false. ``config``: the service's, whose threshold is swept."""
    counted = [each for each in watched if each.kind is not None or each.actions or each.shown]
    if not counted:
        return None
    calm = [each for each in counted if each.kind is not None]
    return EventCurve(
        label=label,
        calm_videos=len(calm),
        calm_hours=sum(_hours(each) for each in calm),
        default=curve_point(label, counted, config, seed),
        points=tuple(curve_point(label, counted, at(config, label, on), seed) for on in sorted(thresholds)),
    )


def at(config: SmootherConfig, label: str, on: float) -> SmootherConfig:
    """The service's smoother with another threshold of one class; nothing else is told, which costs less."""
    return replace(config, thresholds={label: on})


def curve_point(label: str, watched: Sequence[Watched], config: SmootherConfig, seed: int = 0) -> CurvePoint:
    """Every video played once."""
    return summed([outcome(label, each, config) for each in watched], threshold_of(config, label), seed)


def outcome(label: str, watched: Watched, config: SmootherConfig) -> Outcome:
    """One video played once."""
    events = [event for event in watched.replay.events(config) if event.action == label]
    return Outcome(
        group=watched.group,
        kind=watched.kind,
        hours=_hours(watched),
        false_events=0 if watched.kind is None else len(events),
        action_delays_s=_delays(watched.actions, events),
        video_delays_s=_delays(watched.shown, events),
    )


def summed(outcomes: Sequence[Outcome], threshold: float, seed: int = 0) -> CurvePoint:
    calm = [each for each in outcomes if each.kind is not None]
    groups = [each.group for each in outcomes]
    return CurvePoint(
        threshold=threshold,
        false_events=sum(each.false_events for each in calm),
        false_per_hour=_rate(calm, seed) if calm else None,
        kinds=_kinds(calm),
        actions=_found(groups, [each.action_delays_s for each in outcomes], seed),
        videos=_found(groups, [each.video_delays_s for each in outcomes], seed),
    )


def threshold_of(config: SmootherConfig, label: str) -> float:
    needs = config.needs(label)
    return 1.0 if needs is None else needs.on


def _delays(true: Sequence[TrueEvent], events: Sequence[EventRun]) -> Floats:
    """→ (N,) by true event; NaN: not found."""
    delays = []
    for each in true:
        told = [event.told_s for event in events if event.told_s is not None and each.finds(event)]
        delays.append(max(0.0, min(told) - each.onset_s) if told else np.nan)
    return np.asarray(delays, np.float64)


def _found(groups: Sequence[str], parts: Sequence[Floats], seed: int) -> FoundShare | None:
    """``groups`` and ``parts`` by video; None where there was nothing to find."""
    delays_s = np.concatenate([np.zeros(0), *parts])
    if not len(delays_s):
        return None
    found = ~np.isnan(delays_s)
    of_each = [group for group, part in zip(groups, parts, strict=True) for _ in part]
    sums = group_sums(np.stack([found, np.ones(len(found))], axis=1), of_each)
    p50, p90 = np.quantile(delays_s[found], [0.5, 0.9]) if found.any() else (None, None)
    return FoundShare(
        count=len(delays_s),
        share=bootstrap(sums, lambda each: ratio(each[..., 0], each[..., 1]), SAMPLES, seed),
        delay_p50_s=None if p50 is None else float(p50),
        delay_p90_s=None if p90 is None else float(p90),
    )


def _rate(calm: Sequence[Outcome], seed: int) -> Interval:
    """False events an hour."""
    counts = np.asarray([(each.false_events, each.hours) for each in calm], np.float64)
    sums = group_sums(counts, [each.group for each in calm])
    found = bootstrap(sums, lambda each: ratio(each[..., 0], each[..., 1]), SAMPLES, seed)
    events, hours = counts.sum(axis=0)
    low, high = poisson_interval(int(events))
    return found.model_copy(update={"low": min(found.low, low / hours), "high": max(found.high, high / hours)})


def _kinds(calm: Sequence[Outcome]) -> tuple[KindRate, ...]:
    kinds = sorted({each.kind for each in calm if each.kind is not None})
    return tuple(_kind(kind, [each for each in calm if each.kind == kind]) for kind in kinds)


def _kind(kind: str, calm: Sequence[Outcome]) -> KindRate:
    hours, events = sum(each.hours for each in calm), sum(each.false_events for each in calm)
    return KindRate(kind=kind, videos=len(calm), hours=hours, false_events=events)


def _hours(watched: Watched) -> float:
    """Media time of the video; each picture lasts as long as those before it did on average."""
    times = watched.replay.run.times_s
    return (times[-1] - times[0]) * len(times) / max(1, len(times) - 1) / 3600 if times else 0.0
