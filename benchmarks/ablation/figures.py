"""What a row measures: macro F1 with intervals over groups, and its paired difference to the base row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.evaluation.figures.bootstrap import group_counts, interval, resample
from models.evaluation.figures.metrics import Floats, macro_f1
from models.evaluation.figures.predictions import Predictions
from models.evaluation.judge import judge_part

THREE = ("Fighting", "Standing", "Walking")


@dataclass(slots=True)
class Result:
    """What a row measured; intervals as [value, low, high]. Costs in CPU seconds: ``train_s`` of the whole training,
    ``feature_s`` and ``base_feature_s`` of one clip, the latter of the base row at the same time.
    """

    macro_f1: list[float]
    macro_f1_three: list[float]
    f1: dict[str, float]
    difference: list[float] | None = None  # to the base row in macro F1, paired by group
    clips: int = 0
    epochs: int = 0
    train_s: float | None = None
    train_wall_s: float | None = None
    feature_s: float | None = None
    base_feature_s: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)


def measured(answers: Predictions, base: Predictions | None) -> Result:
    """→ the figures of ``answers``, and their difference to the base row's where that is known."""
    three = [label for label in THREE if label in answers.labels] or answers.labels
    whole, part = judge_part(answers), judge_part(answers.only(three))
    ends = [(item.value, item.low, item.high) for item in (p.intervals["macro_f1"] for p in (whole, part))]
    return Result(
        macro_f1=_rounded(ends[0]),
        macro_f1_three=_rounded(ends[1]),
        f1={item.label: round(item.f1, 4) for item in whole.metrics.classes},
        difference=paired_difference(answers, base) if base is not None else None,
        clips=len(answers),
    )


def paired_difference(answers: Predictions, base: Predictions) -> list[float] | None:
    """Macro F1 less the base's → [value, low, high], the same groups drawn for both; None where groups differ."""
    if set(answers.groups) != set(base.groups) or answers.labels != base.labels:
        return None
    sums = [_counts(item) for item in (answers, base)]
    value = np.subtract(*(macro_f1(item.sum(axis=0)[None])[0] for item in sums))
    replicates = np.subtract(*(macro_f1(resample(item)) for item in sums))
    found = interval(float(value), replicates, len(sums[0]))
    return _rounded((found.value, found.low, found.high))


def _counts(answers: Predictions) -> Floats:
    return group_counts(answers.logits.argmax(axis=1), answers.targets, len(answers.labels), answers.groups)


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in values]
