"""What boxes say beside a network of falls, leaving one subject out: ``models.motion_training`` with ``--posture``.

Heads learn from the tracks of the data set, and speak about the boxes that were recorded during each clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fall_events.heads import fold_of
from benchmarks.fall_events.judging import Arrays, Floats
from models.data.manifest import Dataset, Split
from models.motion_training import TEMPERATURE, fit_head, looks, people
from pipeline.clips import sample_grid
from pipeline.motion import RATE_HZ, Doubles, Way, motion
from pipeline.motion_voice import LEAST_SAMPLES, MotionHead

SLACK_S = 1e-3


def box_heads(dataset: Dataset, work: Path, subjects: Sequence[str]) -> list[MotionHead]:
    """→ one for each fold, which has not seen its subject and its share of the other groups."""
    records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
    groups = sorted({record.group for record in dataset.records})
    folds = np.asarray([fold_of(record.group, groups, subjects) for record in records])
    rows = [looks(way, seed, posture=True) for seed, way in enumerate(people(dataset, work))]
    targets = np.asarray(dataset.targets(records), np.int64)
    heads = []
    for fold in range(len(subjects)):
        learnt = np.flatnonzero(folds != fold)
        head = fit_head([rows[index] for index in learnt], targets[learnt], dataset.labels)
        heads.append(replace(head, temperature=TEMPERATURE))
    return heads


def beside(head: MotionHead, arrays: Arrays, tier: str, probabilities: Floats) -> Floats:
    """(N, C) answers to the recorded clips → with what boxes say, where enough of them are known."""
    spans = zip(*(arrays[f"{tier}.{key}"] for key in ("track_id", "start_s", "end_s")), strict=True)
    told = np.array(probabilities, np.float64)
    for row, (track_id, start_s, end_s) in enumerate(spans):
        features = _features(arrays, int(track_id), float(start_s), float(end_s))
        if features is not None:
            told[row] = head.beside(probabilities[row].astype(np.float32), features)
    return told


def _features(arrays: Arrays, track_id: int, start_s: float, end_s: float) -> Doubles | None:
    """→ motion and posture of a person during a clip. Who is near is left out: in these rooms one is alone."""
    boxes: NDArray[np.float32] = arrays["boxes"]
    times_s = arrays["times_s"][boxes[:, 0].astype(int)]
    inside = (boxes[:, 1] == track_id) & (times_s >= start_s - SLACK_S) & (times_s <= end_s + SLACK_S)
    own = boxes[inside, 2:6].astype(np.float64)
    if not len(own):
        return None
    shown = own[sample_grid(times_s[inside].tolist(), RATE_HZ)]
    if len(shown) < LEAST_SAMPLES:
        return None
    return motion(Way(shown, np.zeros((0, len(shown), 4))), posture=True)
