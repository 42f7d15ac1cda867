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
from models.evaluation.videos.event_metrics import TEMPORAL_IOUS, EventScore, event_score
from models.evaluation.videos.metrics import LabelScore, VideoCase, by_piece, judge_frames, label_score
from models.evaluation.videos.run import VideoRun
from models.evaluation.videos.scores import RunScores, hindsight_scores, peak, shown_scores
from models.evaluation.videos.track_matching import IOU
from models.evaluation.videos.truth import VideoTruth
from pipeline.actions import SmootherConfig

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VideoJudgeConfig:
    """``positive``: the class, and the video label in ``clips.csv`` that says a video shows it; None: no decision."""

    split: Split = Split.VAL
    subsets: tuple[tuple[str, ...], ...] = ()
    positive: tuple[str, str] | None = None
    iou: float = IOU
    temporal_ious: tuple[float, ...] = TEMPORAL_IOUS
    smoother: SmootherConfig = field(default_factory=SmootherConfig)
    seed: int = 0


class Reading(Value):
    """One way of reading the answers. Scores come for all classes first, then for each subset."""

    name: str  # "shown": as the service showed it then; "hindsight": each frame by all clips that hold it
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


def judge_videos(
    runs: Sequence[VideoRun], truths: Mapping[str, VideoTruth], config: VideoJudgeConfig | None = None
) -> VideoJudgement:
    """Runs of videos without annotation are passed over; those of the train split serve the decision's threshold.

    Raises EvaluationError when no run belongs to the split, runs differ in labels, or a named class is unknown.
    """
    config = config or VideoJudgeConfig()
    known = [run for run in runs if run.video in truths]
    judged = [run for run in known if truths[run.video].split is config.split]
    _check(known, judged, config)
    labels = judged[0].labels
    truths = _in_words_of(labels, truths)
    cases = [VideoCase.of(run, truths[run.video], config.iou) for run in judged]
    said = {
        "shown": [shown_scores(run, config.smoother) for run in judged],
        "hindsight": [hindsight_scores(run) for run in judged],
    }
    return VideoJudgement(
        split=config.split.value,
        videos=len(judged),
        frames=sum(len(run.times_s) for run in judged),
        iou=config.iou,
        labels=labels,
        problems=tuple(f"{run.video}: {run.problem}" for run in judged if run.problem),
        readings=tuple(_reading(name, cases, scores, labels, config) for name, scores in said.items()),
        decisions=_decisions(known, truths, config),
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
    frames = [judge_frames(case, scores) for case, scores in zip(cases, said, strict=True)]
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
            truth = truths[run.video]
            if truth.label:
                value = peak(run, label, config.smoother, smoothed)
                shows = same_class(truth.label) == same_class(video_label)
                peaks.append(Peak(run.video, truth.group, truth.split, shows, value))
        found.append(decide(peaks, config.split, label, smoothed, config.seed))
    return tuple(decision for decision in found if decision)


def _check(known: Sequence[VideoRun], judged: Sequence[VideoRun], config: VideoJudgeConfig) -> None:
    problems = []
    if not judged:
        problems.append(f"no annotated video is in the split {config.split.value!r}")
    if len({run.labels for run in known}) > 1:
        problems.append("the runs are of models with different classes")
    labels = set(judged[0].labels) if judged else set()
    named = {label for subset in config.subsets for label in subset} | (
        {config.positive[0]} if config.positive else set()
    )
    unknown = sorted(named - labels) if judged else []
    if unknown:
        problems.append(f"the model has no class {', '.join(unknown)}")
    if problems:
        raise EvaluationError("; ".join(problems))
