"""What the time over which scores are smoothed does to the label that is shown, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.events.study import TIME_CONSTANT_S
from models.evaluation.videos.judgement import SETTLED_S
from models.evaluation.videos.metrics import LabelScore, VideoCase, judge_frames, label_score
from models.evaluation.videos.scores import shown_scores
from pipeline.actions import SmootherConfig

SUBSET = ("Fighting", "Standing", "Walking")
Row = dict[str, Any]


def frame_scores(cases: Sequence[VideoCase]) -> dict[str, Row]:
    """By time constant: macro F1 over all classes and over ``SUBSET``, of all frames and from one second on."""
    return {
        f"{seconds:g}": _scores(cases, SmootherConfig(label_time_constant_s=seconds)) for seconds in TIME_CONSTANT_S
    }


def _scores(cases: Sequence[VideoCase], config: SmootherConfig) -> Row:
    said = [shown_scores(case.run, config) for case in cases]
    row = {}
    for name, after_s in (("shown", 0.0), ("settled", SETTLED_S)):
        judged = [judge_frames(case, scores, after_s) for case, scores in zip(cases, said, strict=True)]
        labels = cases[0].run.labels if cases else ()
        row[name] = {"all": _macro(label_score(judged, labels)), "three": _macro(label_score(judged, labels, SUBSET))}
    return row


def _macro(score: LabelScore | None) -> Row | None:
    return None if score is None else {**score.macro_f1.model_dump(), "frames": score.count}
