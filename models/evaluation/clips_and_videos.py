"""One model evaluated: on the clips of a data set, on whole videos, or both. What ``evaluation.json`` holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from models.data.manifest import Dataset, Split
from models.evaluation.figures.metrics import Value
from models.evaluation.figures.predictions import Classifier, Predictions, Views, predict
from models.evaluation.judge import JudgeConfig, Judgement, judge
from models.evaluation.videos.event_curve import EventCurve
from models.evaluation.videos.judgement import VideoJudgement
from models.weights.cards import MODEL_FILE, ModelCard

EVALUATION_FILE, REPORT_FILE = "evaluation.json", "report.html"
MISTAKES_FOLDER, PREDICTIONS_FOLDER, VIDEOS_FOLDER = "mistakes", "predictions", "videos"
Progress = Callable[[str, int, int], None]  # name of the split, clips done, clips in all


class ViewsUsed(Value):
    """How each clip was shown; see ``models.evaluation.figures.predictions.Views``."""

    windows: int = 1
    flip: bool = False
    real: int | None = None


class Evaluation(Value):
    """``data``: name of the data set's folder; paths of mistakes are relative to it."""

    format_version: Literal[1] = 1
    model: str
    kind: str
    model_sha256: str
    card_temperature: float
    data: str = ""
    description: str = ""
    views: ViewsUsed = ViewsUsed()
    clips: Judgement | None = None
    videos: VideoJudgement | None = None


@dataclass(frozen=True, slots=True)
class ClipsJob:
    """What to evaluate on clips. ``output`` keeps the answers, so that a second run takes seconds."""

    dataset: Dataset
    output: Path
    split: Split = Split.VAL
    views: Views = field(default_factory=Views)
    judging: JudgeConfig = field(default_factory=JudgeConfig)


def evaluate_clips(classifier: Classifier, job: ClipsJob, progress: Progress | None = None) -> Judgement:
    """The split that is judged, and the validation split for the temperature where that is another one.

    Raises EvaluationError as ``predict`` and ``judge`` do.
    """
    predictions = answers(classifier, job, job.split, progress)
    validation: Predictions | None = predictions if job.split is Split.VAL else None
    if job.split is not Split.VAL and job.dataset.of(Split.VAL):
        validation = answers(classifier, job, Split.VAL, progress)
    return judge(job.split, predictions, validation, job.judging)


def answers(classifier: Classifier, job: ClipsJob, split: Split, progress: Progress | None = None) -> Predictions:
    """The model's answers to one split, kept in ``output``/predictions."""
    journal = job.output / PREDICTIONS_FOLDER / f"{split.value or 'unsplit'}.jsonl"
    told = None if progress is None else (lambda done, total: progress(split.value, done, total))
    return predict(classifier, job.dataset, job.dataset.of(split), job.views, journal, told)


def about(card: ModelCard, job: ClipsJob | None) -> Evaluation:
    """An evaluation that says what is evaluated and holds no figure yet."""
    base = Evaluation(
        model=card.name, kind=card.kind, model_sha256=card.sha256[MODEL_FILE], card_temperature=card.temperature
    )
    if job is None:
        return base
    views = ViewsUsed(windows=job.views.windows, flip=job.views.flip, real=job.views.real)
    described = {"data": job.dataset.folder.name, "description": job.dataset.info.description, "views": views}
    return base.model_copy(update=described)


def summary(evaluation: Evaluation) -> dict[str, float]:
    """The figures for a model card's ``metrics``: flat names, ``val/macro_f1`` and the like."""
    figures: dict[str, float] = {}
    if evaluation.clips is not None:
        clips = evaluation.clips
        figures[f"{clips.split}/macro_f1"] = clips.whole.metrics.macro_f1
        figures[f"{clips.split}/top1"] = clips.whole.metrics.top1
        figures[f"{clips.split}/ece"] = clips.calibration.ece_interval.value
        for part in clips.subsets:
            figures[f"{clips.split}/macro_f1/{'+'.join(part.labels)}"] = part.metrics.macro_f1
    if evaluation.videos is not None:
        videos = evaluation.videos
        for reading in videos.readings:
            for score in reading.frames:
                figures[f"{videos.split}/videos/{reading.name}/frame_macro_f1/{'+'.join(score.labels)}"] = (
                    score.macro_f1.value
                )
        for decision in videos.decisions:
            if decision.accuracy is not None and decision.smoothed:
                figures[f"{videos.split}/videos/{decision.label}_accuracy"] = decision.accuracy.value
        figures |= {name: value for curve in videos.curves for name, value in _event_figures(curve).items()}
    return {name: round(value, 4) for name, value in figures.items()}


def _event_figures(curve: EventCurve) -> dict[str, float]:
    """With the service's own threshold."""
    point, start = curve.default, f"events/{curve.label}"
    figures = {f"{start}/false_per_hour": point.false_per_hour.value} if point.false_per_hour else {}
    for name, found in (("actions", point.actions), ("videos", point.videos)):
        if found is not None:
            figures[f"{start}/{name}_found"] = found.share.value
        if found is not None and found.delay_p50_s is not None:
            figures[f"{start}/{name}_delay_p50_s"] = found.delay_p50_s
    return figures
