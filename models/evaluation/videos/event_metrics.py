"""Events against labelled actions: did the pipeline say that it happened, of whom, when, and once?

A labelled action is a person's labelled pieces of one class that follow each other. An event counts for the person
with whom its track shares the most frames, and only within the time that is labelled of that person; it hits an
action of its class when their frames overlap by at least a given share of their union (temporal IoU), one to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.evaluation.figures.bootstrap import SAMPLES, Interval, bootstrap
from models.evaluation.figures.metrics import ClassMetrics, Floats, Value, class_table, macro_f1, ratio
from models.evaluation.figures.predictions import NEVER_SCORED
from models.evaluation.videos.metrics import VideoCase, frames_of
from models.evaluation.videos.run import EventRun
from models.evaluation.videos.track_matching import people_of_tracks

TEMPORAL_IOUS = (0.1, 0.3, 0.5)
_SLACK_S = 1e-3

Span = NDArray[np.bool_]  # (F,) which of the run's frames


class EventScore(Value):
    """``classes``: support counts labelled actions, predicted counts events. ``micro_f1`` is over all together."""

    labels: tuple[str, ...]
    temporal_iou: float
    macro_f1: Interval
    micro_f1: float
    classes: tuple[ClassMetrics, ...]


@dataclass(frozen=True, slots=True)
class _Action:
    person: int
    label: str
    span: Span


def event_score(
    cases: Sequence[tuple[VideoCase, Sequence[EventRun]]], labels: Sequence[str], temporal_iou: float, seed: int = 0
) -> EventScore | None:
    """Each video with the events said of it; None where nothing is labelled with one of ``labels``."""
    groups = sorted({case.truth.group for case, _ in cases})
    sums = np.zeros((len(groups), len(labels), 3))  # hits, events, actions
    for case, events in cases:
        sums[groups.index(case.truth.group)] += _counts(case, events, labels, temporal_iou)
    total = sums.sum(axis=0)
    if not total[:, 2].any():
        return None
    return EventScore(
        labels=tuple(labels),
        temporal_iou=temporal_iou,
        macro_f1=bootstrap(sums, macro_f1, SAMPLES, seed),
        micro_f1=float(ratio(2 * total[:, 0].sum(), total[:, 1:].sum())),
        classes=class_table(total, labels),
    )


def _counts(case: VideoCase, events: Sequence[EventRun], labels: Sequence[str], temporal_iou: float) -> Floats:
    """One video → (C, 3): hits, events, actions."""
    actions = labelled_actions(case)
    said = _said(case, events, actions)
    counts = np.zeros((len(labels), 3))
    for index, label in enumerate(labels):
        ours = [item for item in said if item.label == label]
        true = [item for item in actions if item.label == label]
        counts[index] = _hits(ours, true, temporal_iou), len(ours), len(true)
    return counts


def labelled_actions(case: VideoCase) -> list[_Action]:
    """Pieces of one person and class that follow each other without another frame between are one action."""
    actions: list[_Action] = []
    last: dict[int, tuple[str, int]] = {}  # person → label and last frame of the piece before
    for piece in sorted(case.truth.segments, key=lambda item: (item.track_id, item.first)):
        before, last[piece.track_id] = last.get(piece.track_id), (piece.label, piece.last)
        if piece.label in NEVER_SCORED:
            continue
        span = np.zeros(len(case.run.times_s), bool)
        span[frames_of(case, piece.track_id, piece.first, piece.last)] = True
        if before == (piece.label, piece.first - 1) and actions and actions[-1].person == piece.track_id:
            np.logical_or(actions[-1].span, span, out=actions[-1].span)
        elif span.any():
            actions.append(_Action(piece.track_id, piece.label, span))
    return actions


def _said(case: VideoCase, events: Sequence[EventRun], actions: Sequence[_Action]) -> list[_Action]:
    """Events of labelled people, cut to the time that is labelled of them; what is left of none is left out."""
    person_of = people_of_tracks(case.matches)
    times = np.asarray(case.run.times_s)
    labelled: dict[int, Span] = {}
    for action in actions:
        labelled[action.person] = labelled.get(action.person, np.zeros(len(times), bool)) | action.span
    said = []
    for event in events:
        person = person_of.get(event.track_id)
        if person is not None and person in labelled:
            span = (times >= event.start_s - _SLACK_S) & (times <= event.end_s + _SLACK_S) & labelled[person]
            if span.any():
                said.append(_Action(person, event.action, span))
    return said


def _hits(said: Sequence[_Action], actions: Sequence[_Action], temporal_iou: float) -> int:
    """The most pairs of the same person that overlap enough."""
    if not said or not actions:
        return 0
    fits = np.asarray([[_overlap(one, other) >= temporal_iou for other in actions] for one in said])
    return int(fits[linear_sum_assignment(~fits)].sum())


def _overlap(one: _Action, other: _Action) -> float:
    if one.person != other.person:
        return 0.0
    return float((one.span & other.span).sum() / (one.span | other.span).sum())
