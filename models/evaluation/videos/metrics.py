"""Judges what the pipeline said of whole videos: by frame, by labelled piece, by event, and by video.

Only people and times that are labelled count; people nobody labelled, and those labelled ``Unclear``, are left out on
both sides. A labelled person whom the pipeline did not find, or of whom it said nothing, counts as missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluation.figures.bootstrap import SAMPLES, Interval, bootstrap, group_counts
from models.evaluation.figures.metrics import (
    ClassMetrics,
    Floats,
    Ints,
    Value,
    class_table,
    confusion_matrix,
    macro_f1,
    to_rows,
)
from models.evaluation.figures.predictions import NEVER_SCORED
from models.evaluation.videos.replay import SLACK_S
from models.evaluation.videos.run import NO_LABEL, VideoRun
from models.evaluation.videos.scores import RunScores, winners
from models.evaluation.videos.track_matching import IOU, Match, match_tracks
from models.evaluation.videos.truth import Segment, VideoTruth


class LabelScore(Value):
    """Labels of frames (or of whole labelled pieces) against the truth.

    ``confusion`` (C, C + 1) has truth in rows; its last column counts where nothing (or a class outside ``labels``)
    was said. ``found`` is the share whose person the pipeline tracked, ``told`` the share with any label.
    """

    labels: tuple[str, ...]
    count: int
    found: float
    told: float
    macro_f1: Interval
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """One video's labelled frames: who, when, what is true, and what was said (``scores`` (N, C), NaN: nothing)."""

    group: str
    truth: Ints  # (N,) class indices
    piece: Ints  # (N,) which labelled piece each frame belongs to
    found: NDArray[np.bool_]  # (N,)
    scores: Floats  # (N, C)


@dataclass(frozen=True, slots=True)
class VideoCase:
    """A run, what is annotated about its video, and who is who."""

    run: VideoRun
    truth: VideoTruth
    matches: list[Match]

    @classmethod
    def of(cls, run: VideoRun, truth: VideoTruth, iou: float = IOU) -> VideoCase:
        return cls(run, truth, match_tracks(truth, run, iou))


def judge_frames(case: VideoCase, said: RunScores, after_s: float = 0.0) -> Judged:
    """Every labelled frame of every labelled person in which that person has an annotated box.

    ``after_s``: only frames from so long on after the person first had one.
    """
    place = {track.track_id: {frame: at for at, frame in enumerate(track.frames)} for track in case.run.tracks}
    matched = {(match.frame, match.truth_id): match.track_id for match in case.matches}
    nothing = np.full(len(case.run.labels), np.nan)
    truth, piece, found, scores = [], [], [], []
    for number, segment in enumerate(case.truth.segments):
        if segment.label in NEVER_SCORED or segment.label not in case.run.labels:
            continue
        for frame in _late(case, frames_of(case, segment.track_id, segment.first, segment.last), segment, after_s):
            track_id = matched.get((frame, segment.track_id))
            truth.append(case.run.labels.index(segment.label))
            piece.append(number)
            found.append(track_id is not None)
            scores.append(nothing if track_id is None else said.scores[track_id][place[track_id][frame]])
    return Judged(
        case.truth.group,
        np.asarray(truth, np.int64),
        np.asarray(piece, np.int64),
        np.asarray(found, bool),
        np.asarray(scores, np.float64).reshape(-1, len(case.run.labels)),
    )


def frames_of(case: VideoCase, person: int, first: int, last: int) -> list[int]:
    """Indices into the run's times of the frames ``first`` … ``last`` in which the person has a box."""
    return [
        frame
        for frame, number in enumerate(case.run.frame_numbers)
        if first <= number <= last and number in case.truth.boxes and person in case.truth.boxes[number][0]
    ]


def _late(case: VideoCase, frames: list[int], segment: Segment, after_s: float) -> list[int]:
    """Those ``frames`` that come ``after_s`` or later after the segment's person first appeared."""
    times = case.run.times_s
    appeared = frames_of(case, segment.track_id, 0, segment.last)[:1] if after_s > 0 else []
    return [frame for frame in frames if not appeared or times[frame] >= times[appeared[0]] + after_s - SLACK_S]


def by_piece(judged: Judged) -> Judged:
    """One row a labelled piece: the mean of what was said in its frames; found when it was in at least one."""
    rows = [np.flatnonzero(judged.piece == number) for number in np.unique(judged.piece)]
    scores = np.full((len(rows), judged.scores.shape[1]), np.nan)
    for at, frames in enumerate(rows):
        told = frames[~np.isnan(judged.scores[frames]).any(axis=1)]
        if len(told):
            scores[at] = judged.scores[told].mean(axis=0)
    return Judged(
        judged.group,
        np.asarray([judged.truth[frames[0]] for frames in rows], np.int64),
        np.asarray([judged.piece[frames[0]] for frames in rows], np.int64),
        np.asarray([judged.found[frames].any() for frames in rows], bool),
        scores,
    )


def label_score(
    judged: Sequence[Judged], labels: Sequence[str], subset: Sequence[str] | None = None, seed: int = 0
) -> LabelScore | None:
    """``subset``: only what truly is one of these classes, decided among these alone; None: all ``labels``.

    None where nothing is labelled so.
    """
    columns = sorted(labels.index(label) for label in subset or labels)
    chosen = tuple(labels[column] for column in columns)
    parts = [(video, np.flatnonzero(np.isin(video.truth, columns))) for video in judged]
    parts = [(video, rows) for video, rows in parts if len(rows)]
    if not parts:
        return None
    truth = np.concatenate([np.searchsorted(columns, video.truth[rows]) for video, rows in parts])
    called = np.concatenate([winners(video.scores[rows][:, columns]) for video, rows in parts])
    found = np.concatenate([video.found[rows] for video, rows in parts])
    groups = [video.group for video, rows in parts for _ in rows]
    return _scored(truth, called, float(found.mean()), groups, chosen, seed)


def _scored(
    truth: Ints, called: Ints, found: float, groups: Sequence[str], labels: tuple[str, ...], seed: int
) -> LabelScore:
    classes = len(labels)
    silent = np.where(called == NO_LABEL, classes, called)  # silence is a column of its own
    sums = group_counts(silent, truth, classes + 1, groups)[:, :classes]
    return LabelScore(
        labels=labels,
        count=len(truth),
        found=found,
        told=float((called != NO_LABEL).mean()),
        macro_f1=bootstrap(sums, macro_f1, SAMPLES, seed),
        classes=class_table(sums.sum(axis=0), labels),
        confusion=to_rows(confusion_matrix(silent, truth, classes + 1)[:classes]),
    )
