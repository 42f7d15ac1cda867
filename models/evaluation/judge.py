"""Judges a model on one split of a data set of clips: every figure of the report, from its logits.

The temperature is fitted on the validation split. Where that is also the split that is judged, the calibration error
with temperatures that never saw a clip's own group stands beside the flattering one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from models.data.manifest import Split
from models.errors import EvaluationError
from models.evaluation.figures.bootstrap import SAMPLES, Interval, bootstrap, group_counts, group_sums
from models.evaluation.figures.calibration import (
    Calibration,
    bin_sums,
    calibration,
    error_from_sums,
    fit_by_group,
    fit_temperature,
    log_probabilities,
    probabilities,
)
from models.evaluation.figures.metrics import (
    Curve,
    Floats,
    Metrics,
    Value,
    accuracy,
    class_scores,
    macro_f1,
    measure,
    precision_recall_curves,
    roc_curves,
)
from models.evaluation.figures.predictions import Predictions

MOST_CURVES = 12  # of the classes with the most examples; hundreds could not be told apart


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """``subsets``: further class lists to judge, each decided among its own classes alone. ``worst``: how many."""

    subsets: tuple[tuple[str, ...], ...] = ()
    worst: int = 12
    samples: int = SAMPLES
    seed: int = 0


DEFAULT_JUDGING = JudgeConfig()


class Mistake(Value):
    """A clip that was called something else. ``path`` is absolute; times are media time in ``video``."""

    path: str
    video: str
    track_id: int
    group: str
    start_s: float
    end_s: float
    truth: str
    called: str
    confidence: float  # of what it was called
    truth_probability: float


class Part(Value):
    """Figures of one choice of classes. ``intervals`` by name of the figure: ``top1``, ``macro_f1``, ``f1/CLASS``."""

    labels: tuple[str, ...]
    metrics: Metrics
    intervals: dict[str, Interval]

    @property
    def without_clips(self) -> tuple[str, ...]:
        """Classes that the macro F1 says nothing of."""
        return tuple(item.label for item in self.metrics.classes if not item.support)


class CalibrationPart(Value):
    """``raw``: T = 1; ``scaled``: the temperature of all; ``held_out``: fitted without the clip's own group."""

    temperature: float
    fitted_on: str  # the split, with its count of clips
    fitted: bool  # False: there was nothing to fit it on
    raw: Calibration
    scaled: Calibration
    held_out: Calibration | None = None
    ece_interval: Interval  # of the honest one: held out where there is one, else scaled


class Judgement(Value):
    """One model on one split."""

    split: str
    count: int
    groups: int
    whole: Part
    subsets: tuple[Part, ...]
    calibration: CalibrationPart
    roc: tuple[Curve, ...]
    precision_recall: tuple[Curve, ...]
    worst: tuple[Mistake, ...]


def judge(
    split: Split, predictions: Predictions, validation: Predictions | None, config: JudgeConfig = DEFAULT_JUDGING
) -> Judgement:
    """``validation``: answers to the validation split, on which the temperature is fitted; None: it stays at 1.

    Raises EvaluationError when there is no clip, or a subset names a class that the model has not.
    """
    if len(predictions) == 0:
        raise EvaluationError(f"the split {split.value!r} has no clip to judge")
    scaling = _calibrate(split, predictions, validation, config)
    chances = log_probabilities(predictions.logits, scaling.temperature)
    shown = _best_known(predictions)
    return Judgement(
        split=split.value,
        count=len(predictions),
        groups=len(set(predictions.groups)),
        whole=judge_part(predictions, config, scaling.temperature),
        subsets=tuple(judge_part(predictions.only(names), config, scaling.temperature) for names in config.subsets),
        calibration=scaling,
        roc=tuple(
            curve for curve in roc_curves(chances, predictions.targets, predictions.labels) if curve.label in shown
        ),
        precision_recall=tuple(
            curve
            for curve in precision_recall_curves(chances, predictions.targets, predictions.labels)
            if curve.label in shown
        ),
        worst=worst_mistakes(predictions, scaling.temperature, config.worst),
    )


def judge_part(predictions: Predictions, config: JudgeConfig = DEFAULT_JUDGING, temperature: float = 1.0) -> Part:
    """Figures and their intervals, groups drawn with replacement. Areas under curves rank by calibrated probability."""
    labels = predictions.labels
    counts = group_counts(predictions.logits.argmax(axis=1), predictions.targets, len(labels), predictions.groups)
    figures: dict[str, Callable[[Floats], Floats]] = {"top1": accuracy, "macro_f1": macro_f1}
    present = sorted(set(predictions.targets.tolist()))
    figures |= {f"f1/{labels[index]}": partial(_f1_of, index) for index in present[:MOST_CURVES]}
    return Part(
        labels=labels,
        metrics=measure(log_probabilities(predictions.logits, temperature), predictions.targets, labels),
        intervals={name: bootstrap(counts, figure, config.samples, config.seed) for name, figure in figures.items()},
    )


def worst_mistakes(predictions: Predictions, temperature: float, most: int) -> tuple[Mistake, ...]:
    """The wrong answers, the least likely truth first."""
    logs = log_probabilities(predictions.logits, temperature)
    truth = logs[np.arange(len(predictions)), predictions.targets]
    called = logs.argmax(axis=1)
    wrong = [int(row) for row in np.argsort(truth, kind="stable") if called[row] != predictions.targets[row]]
    return tuple(_mistake(predictions, logs, row) for row in wrong[:most])


def _mistake(predictions: Predictions, logs: Floats, row: int) -> Mistake:
    record = predictions.records[row]
    called = int(logs[row].argmax())
    return Mistake(
        path=str(record.path),
        video=record.video,
        track_id=record.track_id,
        group=record.group,
        start_s=record.start_s,
        end_s=record.end_s,
        truth=record.label,
        called=predictions.labels[called],
        confidence=float(np.exp(logs[row, called])),
        truth_probability=float(np.exp(logs[row, predictions.targets[row]])),
    )


def _calibrate(
    split: Split, predictions: Predictions, validation: Predictions | None, config: JudgeConfig
) -> CalibrationPart:
    known = validation if validation is not None and len(validation) else None
    fitted = known is not None
    temperature = fit_temperature(known.logits, known.targets) if known is not None else 1.0
    logits, targets = predictions.logits, predictions.targets
    honest: float | Floats = temperature
    held_out = None
    if fitted and split is Split.VAL:
        honest = fit_by_group(logits, targets, predictions.groups)
        held_out = calibration(logits, targets, honest)
    each = np.broadcast_to(np.asarray(honest, np.float64), len(targets))
    sums = group_sums(bin_sums(probabilities(logits / each[:, None]), targets), predictions.groups)
    return CalibrationPart(
        temperature=temperature,
        fitted_on=f"{Split.VAL.value} ({len(known)} clips)" if known is not None else "nothing",
        fitted=fitted,
        raw=calibration(logits, targets),
        scaled=calibration(logits, targets, temperature),
        held_out=held_out,
        ece_interval=bootstrap(sums, error_from_sums, config.samples, config.seed),
    )


def _best_known(predictions: Predictions) -> set[str]:
    """The classes with the most examples, as many as a plot can show."""
    support = np.bincount(predictions.targets, minlength=len(predictions.labels))
    order: Sequence[int] = np.argsort(-support, kind="stable")[:MOST_CURVES].tolist()
    return {predictions.labels[index] for index in order}


def _f1_of(index: int, counts: Floats) -> Floats:
    """(B, C, 3) → (B,): F1 of one class."""
    return class_scores(counts)[2][..., index]
