"""How well a detector finds people in single pictures: recall, precision and average precision at IoU 0.5."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Detections, Floats, Image
from pipeline.geometry import pairwise_iou

IOU = 0.5


@dataclass(frozen=True, slots=True)
class TruePeople:
    """Who is in one picture: ``boxes_xyxy`` float32 (N, 4) pixels must be found; ``ignored_xyxy`` (M, 4) may be found.

    Ignored are people whom the annotators could not tell or did not count (statues, reflections, riders): a detection
    there is neither right nor wrong.
    """

    boxes_xyxy: Floats
    ignored_xyxy: Floats


@dataclass(frozen=True, slots=True)
class DetectionScore:
    """``recall`` and ``precision`` of detections from ``confidence`` on; ``average_precision`` over all of them."""

    confidence: float
    recall: float
    precision: float
    average_precision: float
    people: int


@dataclass(frozen=True, slots=True)
class Matched:
    """Every detection of some pictures that counts: its confidence and whether it is right; how many people there are.

    From these the scores at every confidence follow without running the network again.
    """

    confidences: Floats  # float32 (D,)
    right: NDArray[np.bool_]  # (D,)
    people: int

    def at(self, confidence: float) -> DetectionScore:
        """The scores with this threshold; precision is 1 where nothing is reported."""
        shown = self.confidences >= confidence
        hits = int((shown & self.right).sum())
        return DetectionScore(
            confidence=confidence,
            recall=hits / max(self.people, 1),
            precision=hits / max(int(shown.sum()), 1) if shown.any() else 1.0,
            average_precision=average_precision(self.confidences, self.right, self.people),
            people=self.people,
        )


def match(pictures: Iterable[tuple[Image, TruePeople]], detect: Callable[[Image], Detections]) -> Matched:
    """Run ``detect`` on every RGB picture and match what it finds with who is there. Holds one picture at a time."""
    confidences, right, people = [np.empty(0, np.float32)], [np.empty(0, bool)], 0
    for image, truth in pictures:
        found = detect(image)
        hit, counts = match_picture(found, truth)
        confidences.append(found.confidences[counts])
        right.append(hit[counts])
        people += len(truth.boxes_xyxy)
    return Matched(np.concatenate(confidences), np.concatenate(right), people)


def match_picture(found: Detections, truth: TruePeople) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """→ for each detection whether it is right, and whether it counts. One detection for each person, best first."""
    overlap = pairwise_iou(found.boxes_xyxy, truth.boxes_xyxy)  # (D, N)
    right, free = np.zeros(len(found), bool), np.ones(len(truth.boxes_xyxy), bool)
    for index in np.argsort(-found.confidences, kind="stable"):
        candidates = np.where(free, overlap[index], 0.0)
        if candidates.size and candidates.max() >= IOU:
            right[index], free[candidates.argmax()] = True, False
    passed_over = (pairwise_iou(found.boxes_xyxy, truth.ignored_xyxy) >= IOU).any(axis=1)
    return right, right | ~passed_over


def average_precision(confidences: Floats, right: NDArray[np.bool_], people: int) -> float:
    """The area under precision over recall, precision made monotone (as PASCAL VOC since 2010 and COCO do)."""
    if people == 0:
        return 0.0
    order = np.argsort(-confidences, kind="stable")
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[right[order]].sum() / people)
