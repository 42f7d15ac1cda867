"""Judges a model on whole videos, from what the pipeline said (``VideoRun``) and what is annotated (``VideoTruth``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from models.data.class_names import same_class, unify
from models.data.manifest import Split
from models.errors import EvaluationError
from models.evaluation.figures.metrics import Value
from models.evaluation.figures.predictions import NEVER_SCORED
from models.evaluation.videos.decision import Peak, VideoDecision, decide
from models.evaluation.videos.event_curve import (
    THRESHOLDS,
    EventCurve,
    Watched,
    event_curve,
    true_actions,
    whole_video,
)
from models.evaluation.videos.event_metrics import TEMPORAL_IOUS, EventScore, event_score
from models.evaluation.videos.metrics import LabelScore, VideoCase, by_piece, judge_frames, label_score
from models.evaluation.videos.negatives import Negative
from models.evaluation.videos.replay import Replay
from models.evaluation.videos.run import VideoRun
from models.evaluation.videos.scores import RunScores, hindsight_scores, peak, shown_scores
from models.evaluation.videos.track_matching import IOU
from models.evaluation.videos.truth import VideoTruth
from pipeline.actions import SmootherConfig

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VideoJudgeConfig:
    """``positive``: the class, and the video label in ``clips.csv`` that says a video shows it; None: no decision.

    ``negatives``: videos, by name, in which some classes are known not to occur, annotated or not; ``thresholds`` are
    those of the curves.
    """

    split: Split = Split.VAL
    subsets: tuple[tuple[str, ...], ...] = ()
    positive: tuple[str, str] | None = None
    iou: float = IOU
    temporal_ious: tuple[float, ...] = TEMPORAL_IOUS
    smoother: SmootherConfig = field(default_factory=SmootherConfig)
    negatives: Mapping[str, Negative] = field(default_factory=dict)
    thresholds: tuple[float, ...] = THRESHOLDS
    seed: int = 0


READINGS = {
    "shown": "as the service showed it then",
    "settled": "as shown, from one second after a person appeared",
    "hindsight": "each frame by all clips that hold it",
}
SETTLED_S = 1.0


class Reading(Value):
    """One way of reading the answers. Scores come for all classes first, then for each subset."""

    name: str  # a key of ``READINGS``
    frames: tuple[LabelScore, ...]
    pieces: tuple[LabelScore, ...]
    events: tuple[EventScore, ...]  # one for each temporal IoU


class VideoJudgement(Value):
    """One model on the videos of one split. ``iou``: the least overlap at which a track is an annotated person."""

    split: str
    videos: int
    frames: int
    iou: float
    labels: tuple[str, ...]
    problems: tuple[str, ...]
    readings: tuple[Reading, ...]
    decisions: tuple[VideoDecision, ...]
    curves: tuple[EventCurve, ...] = ()


def judge_videos(
    runs: Sequence[VideoRun], truths: Mapping[str, VideoTruth], config: VideoJudgeConfig | None = None
) -> VideoJudgement:
    """Runs of videos without annotation, and that are no negatives, are passed over; those of the train split serve
    the decision's threshold.

    Raises EvaluationError when no run belongs to the split and there are no negatives, runs differ in labels, or a
    named class is unknown.
    """
    config = config or VideoJudgeConfig()
    known = [run for run in runs if run.video in truths or run.video in config.negatives]
    judged = [run for run in known if run.video in truths and truths[run.video].split is config.split]
    _check(known, judged, config)
    labels = known[0].labels
    truths = _in_words_of(labels, truths)
    cases = [VideoCase.of(run, truths[run.video], config.iou) for run in judged]
    shown = [shown_scores(run, config.smoother) for run in judged]
    said = {"shown": shown, "settled": shown, "hindsight": [hindsight_scores(run) for run in judged]}
    return VideoJudgement(
        split=config.split.value,
        videos=len(judged),
        frames=sum(len(run.times_s) for run in judged),
        iou=config.iou,
        labels=labels,
        problems=tuple(f"{run.video}: {run.problem}" for run in judged if run.problem),
        readings=tuple(_reading(name, cases, scores, labels, config) for name, scores in said.items() if cases),
        decisions=_decisions(known, truths, config),
        curves=event_curves(known, cases, labels, config),
    )


def _in_words_of(labels: Sequence[str], truths: Mapping[str, VideoTruth]) -> dict[str, VideoTruth]:
    """The annotated labels as the model writes them, where they are the same classes."""
    spellings = (segment.label for truth in truths.values() for segment in truth.segments)
    unified = unify(spellings, (*labels, *sorted(NEVER_SCORED)))
    for note in unified.notes:
        _LOG.warning("annotated label: %s", note)
    names = unified.names
    return {
        video: replace(truth, segments=tuple(replace(each, label=names.get(each.label, "")) for each in truth.segments))
        for video, truth in truths.items()
    }


def _reading(
    name: str, cases: Sequence[VideoCase], said: Sequence[RunScores], labels: tuple[str, ...], config: VideoJudgeConfig
) -> Reading:
    after_s = SETTLED_S if name == "settled" else 0.0
    frames = [judge_frames(case, scores, after_s) for case, scores in zip(cases, said, strict=True)]
    pieces = [by_piece(judged) for judged in frames]
    events = [(case, scores.events) for case, scores in zip(cases, said, strict=True)]
    choices = (None, *config.subsets)
    by_iou = [event_score(events, labels, least, config.seed) for least in config.temporal_ious]
    return Reading(
        name=name,
        frames=tuple(s for choice in choices if (s := label_score(frames, labels, choice, config.seed))),
        pieces=tuple(s for choice in choices if (s := label_score(pieces, labels, choice, config.seed))),
        events=tuple(score for score in by_iou if score),
    )


def _decisions(
    runs: Sequence[VideoRun], truths: Mapping[str, VideoTruth], config: VideoJudgeConfig
) -> tuple[VideoDecision, ...]:
    """Two: by the peak of smoothed scores, and of single clips."""
    if config.positive is None:
        return ()
    label, video_label = config.positive
    found = []
    for smoothed in (True, False):
        peaks = []
        for run in runs:
            truth = truths.get(run.video)
            if truth is not None and truth.label:
                value = peak(run, label, config.smoother, smoothed)
                shows = same_class(truth.label) == same_class(video_label)
                peaks.append(Peak(run.video, truth.group, truth.split, shows, value))
        found.append(decide(peaks, config.split, label, smoothed, config.seed))
    return tuple(decision for decision in found if decision)


def _check(known: Sequence[VideoRun], judged: Sequence[VideoRun], config: VideoJudgeConfig) -> None:
    problems = []
    if not judged and not config.negatives:
        problems.append(f"no annotated video is in the split {config.split.value!r}")
    if len({run.labels for run in known}) > 1:
        problems.append("the runs are of models with different classes")
    labels = set(known[0].labels) if known else set()
    named = {label for subset in config.subsets for label in subset} | (
        {config.positive[0]} if config.positive else set()
    )
    named |= {label for each in config.negatives.values() for label in each.labels}
    unknown = sorted(named - labels) if known else []
    if unknown:
        problems.append(f"the model has no class {', '.join(unknown)}")
    if problems:
        raise EvaluationError("; ".join(problems))


def event_curves(
    known: Sequence[VideoRun], cases: Sequence[VideoCase], labels: Sequence[str], config: VideoJudgeConfig
) -> tuple[EventCurve, ...]:
    """One for each class that has negatives, in the order of the model's."""
    replays = {run.video: Replay(run) for run in known}
    by_video = {case.run.video: case for case in cases}
    curves = []
    for label in labels:
        watched = [_watched(label, replay, by_video.get(name), config) for name, replay in replays.items()]
        if any(each.kind is not None for each in watched):
            curves.append(event_curve(label, watched, config.smoother, config.thresholds, config.seed))
    return tuple(curve for curve in curves if curve)


def _watched(label: str, replay: Replay, case: VideoCase | None, config: VideoJudgeConfig) -> Watched:
    """What one video tells of one class: that it is absent, what is annotated of it, that the video shows it."""
    negative = config.negatives.get(replay.run.video)
    if negative is not None and label in negative.labels:
        return Watched(replay, negative.group, kind=negative.kind)
    if case is None:
        return Watched(replay, replay.run.video)
    truth, actions = case.truth, true_actions(case, label)
    if config.positive is None or config.positive[0] != label or not truth.label:
        return Watched(replay, truth.group, actions=actions)
    if same_class(truth.label) == same_class(config.positive[1]):
        return Watched(replay, truth.group, actions=actions, shown=whole_video(replay.run))
    return Watched(replay, truth.group, kind=None if actions else truth.label, actions=actions)
