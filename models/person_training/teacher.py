"""Boxes for training pictures: what several detectors agree on at several picture sizes, and annotated tracks.

A network sees more in a larger, or mirrored, picture: what it finds in several such views is taught to the same network
at its normal size (test-time augmentation as teacher: Radosavovic et al. 2018, "data distillation"). A second network
and the tracks are witnesses: they turn a doubtful box into a certain one, but make none of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.person_training.evaluation import TruePeople
from pipeline.detector import PersonDetector
from pipeline.entities import Detections, Floats, Image
from pipeline.geometry import pairwise_iou

SAME_PERSON_IOU = 0.55
CERTAIN, CERTAIN_WITH_WITNESS = 0.45, 0.25
DOUBTFUL, DOUBTFUL_WITH_WITNESS, WITNESS = 0.2, 0.1, 0.3
CONTAINED = 0.9  # a box this far inside a clearly surer one is a part of that person
RULES = (SAME_PERSON_IOU, CERTAIN, CERTAIN_WITH_WITNESS, DOUBTFUL, DOUBTFUL_WITH_WITNESS, WITNESS, CONTAINED)


@dataclass(frozen=True)
class View:
    """One look at a picture: by which detector (its input size is fixed in it), and whether mirrored."""

    detector: PersonDetector
    mirrored: bool = False

    def look(self, image: Image) -> Detections:
        """RGB (H, W, 3) → people in pixels of the picture as it was given."""
        if not self.mirrored:
            return self.detector.detect([image])[0]
        found = self.detector.detect([np.ascontiguousarray(image[:, ::-1])])[0]
        boxes = found.boxes_xyxy.copy()
        boxes[:, [0, 2]] = image.shape[1] - found.boxes_xyxy[:, [2, 0]]
        return Detections(boxes, found.confidences)


@dataclass(frozen=True, slots=True)
class Votes:
    """K boxes with the confidence each view gives them, 0 where it sees nobody; the last witness is the tracks."""

    boxes_xyxy: Floats  # float32 (K, 4) pixels
    main: Floats  # float32 (K, V)
    witnesses: Floats  # float32 (K, W)


@dataclass(frozen=True)
class Teacher:
    """``main`` views decide, ``witnesses`` confirm."""

    main: Sequence[View]
    witnesses: Sequence[View] = ()

    def look(self, image: Image, tracked_xyxy: Floats) -> Votes:
        """One RGB picture and its tracked boxes (N, 4) → what every view says of it."""
        tracked = Detections(tracked_xyxy, np.ones(len(tracked_xyxy), np.float32))
        main = [view.look(image) for view in self.main]
        witnesses = [view.look(image) for view in self.witnesses] + [tracked]
        boxes, votes = fuse([*main, *witnesses])
        return Votes(boxes, votes[:, : len(main)], votes[:, len(main) :])


def fuse(views: Sequence[Detections]) -> tuple[Floats, Floats]:
    """Detections of V views → boxes (K, 4), means weighted by confidence, and the best confidence of each view (K, V).

    Weighted boxes fusion (Solovyev et al. 2021): the surest first, each joins the group whose mean box it overlaps.
    """
    boxes = np.concatenate([view.boxes_xyxy for view in views]).astype(np.float32)
    confidences = np.concatenate([view.confidences for view in views])
    of_view = np.concatenate([np.full(len(view), index) for index, view in enumerate(views)]).astype(int)
    sums, weights = np.zeros((0, 4), np.float32), np.zeros((0, 1), np.float32)
    votes = np.zeros((0, len(views)), np.float32)
    for index in np.argsort(-confidences, kind="stable"):
        box, confidence, view = boxes[index], confidences[index], of_view[index]
        overlap = pairwise_iou(box[None], _means(sums, weights))[0]
        overlap[votes[:, view] > 0] = 0.0  # one view reports a person once
        if not overlap.size or overlap.max() < SAME_PERSON_IOU:
            sums, weights = np.vstack([sums, np.zeros(4, np.float32)]), np.vstack([weights, np.zeros(1, np.float32)])
            votes = np.vstack([votes, np.zeros(len(views), np.float32)])
            overlap = np.append(overlap * 0, 1.0)
        group = int(overlap.argmax())
        sums[group] += box * confidence
        weights[group] += confidence
        votes[group, view] = confidence
    return _means(sums, weights), votes


def _means(sums: Floats, weights: Floats) -> Floats:
    return np.asarray(sums / np.maximum(weights, 1e-6), np.float32)


def judge(votes: Votes) -> TruePeople:
    """Who is certainly there (taught as people), and boxes in doubt (taught as nothing, see ``cover``).

    Certain: two main views agree, on less confidence with a witness. In doubt: one main view is not quite sure; a
    network that never doubts its own mistakes elsewhere still learns them as background.
    """
    strength = np.sort(votes.main, axis=1)[:, -2:].mean(axis=1)  # two views must see somebody
    strongest = votes.main.max(axis=1, initial=0.0)
    confirmed = votes.witnesses.max(axis=1, initial=0.0) >= WITNESS
    certain = (strength >= CERTAIN) | (confirmed & (strength >= CERTAIN_WITH_WITNESS))
    certain &= ~(certain & _parts(votes.boxes_xyxy, strength))
    doubtful = ~certain & ((strongest >= DOUBTFUL) | (confirmed & (strongest >= DOUBTFUL_WITH_WITNESS)))
    return TruePeople(votes.boxes_xyxy[certain], votes.boxes_xyxy[doubtful])


def _parts(boxes: Floats, strength: Floats) -> NDArray[np.bool_]:
    """Which boxes lie in a clearly surer one: (K,)."""
    corner = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    other = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(other - corner, 0, None).prod(axis=2)  # (K, K)
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    inside = shared >= CONTAINED * np.maximum(area, 1e-6)[:, None]
    surer = strength[None, :] >= strength[:, None] + 0.2
    return np.asarray((inside & surer).any(axis=1), bool)
