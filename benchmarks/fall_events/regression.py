"""Logistic regressions on the features of recorded clips, leaving one subject out: output layers without a training.

They learn from the very clips that the service would have made of the videos of falls, labelled by when they end, and
from the labelled tracks of other videos (features of the data set's clips under the configuration's augmentation).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks.fall_events.heads import Head, fold_of
from benchmarks.fall_events.judging import FALLING, Arrays, Fall
from models.data.manifest import Dataset
from models.training.config import Mode, TrainConfig
from models.training.feature_cache import features_of
from models.training.run.networks import trainable
from models.weights.start import find_weights, read_start

SEEN_S, OVER_S = 0.7, 1.3  # a clip shows a fall if it ends so long behind its start, and at most so long behind its end
LYING_S = 0.2  # behind the end of a fall, a clip that begins shows somebody who lies
MOST = 0.7  # of a clip lies in the segment that names it
STRENGTH = 0.1  # scikit-learn's C


@dataclass(frozen=True, slots=True)
class Segment:
    """What the person of a video does when, in seconds."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Windows:
    """``features`` (N, F), and of each row its label, its group and how much it counts."""

    features: NDArray[np.float32]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    weights: NDArray[np.float64]

    def part(self, chosen: NDArray[np.bool_]) -> Windows:
        return Windows(self.features[chosen], self.labels[chosen], self.groups[chosen], self.weights[chosen])

    def __add__(self, other: Windows) -> Windows:
        return Windows(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.groups, other.groups]),
            np.concatenate([self.weights, other.weights]),
        )


def read_segments(path: Path) -> dict[str, tuple[str, list[Segment]]]:
    """clip,label,start_s,end_s,group → by video its group and its segments."""
    found: dict[str, tuple[str, list[Segment]]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            segment = Segment(row["label"], float(row["start_s"]), float(row["end_s"]))
            found.setdefault(row["clip"], (row["group"], []))[1].append(segment)
    return found


def label_of(start_s: float, end_s: float, falls: Sequence[Fall], segments: Sequence[Segment]) -> str:
    """→ what a clip shows; empty where it is not clear, as in the middle between standing and falling."""
    for fall in falls:
        if fall.start_s + SEEN_S <= end_s <= fall.end_s + OVER_S:
            return FALLING
        if start_s >= fall.end_s + LYING_S:
            return "Lying"
        if end_s > fall.start_s + 0.1:
            return ""
    for segment in segments:
        inside = min(end_s, segment.end_s) - max(start_s, segment.start_s)
        if segment.label != FALLING and inside >= MOST * (end_s - start_s):
            return segment.label
    return ""


def recorded_windows(
    videos: Mapping[str, Arrays],
    tier: str,
    falls: Mapping[str, Sequence[Fall]],
    segments: Mapping[str, tuple[str, Sequence[Segment]]],
    people: Mapping[str, set[int]],
) -> Windows:
    """→ the clips of ``people`` (video → track ids) in videos with segments, where it is clear what they show."""
    rows = [
        row
        for video, arrays in videos.items()
        if video in segments
        for row in _rows(arrays, tier, falls.get(video, ()), segments[video], people.get(video, set()))
    ]
    features, labels, groups = zip(*rows, strict=True)
    return Windows(np.stack(features), np.asarray(labels), np.asarray(groups), np.ones(len(rows)))


def _rows(
    arrays: Arrays, tier: str, falls: Sequence[Fall], named: tuple[str, Sequence[Segment]], people: set[int]
) -> Iterator[tuple[NDArray[np.float32], str, str]]:
    group, segments = named
    columns = (arrays[f"{tier}.{key}"] for key in ("track_id", "start_s", "end_s", "features"))
    for track_id, start_s, end_s, features in zip(*columns, strict=True):
        label = label_of(float(start_s), float(end_s), falls, segments) if int(track_id) in people else ""
        if label:
            yield features.astype(np.float32), label, group


def dataset_windows(
    config: TrainConfig, dataset: Dataset, subjects: Sequence[str], weights: Path, cache: Path
) -> Windows:
    """→ the clips of the data set that are of none of ``subjects``, each under all of the configuration's draws."""
    records, draws = [each for each in dataset.records if each.group not in subjects], config.transfer.draws
    network = trainable(config)
    start = read_start(find_weights(config.network.init, weights))
    frozen = network.front(Mode.RGB, network.build(Mode.RGB, dataset.labels, start))
    found = features_of(
        frozen, [(each, draws) for each in records], network.examples.reader(Mode.RGB), cache, lambda *_: None
    )
    rows: list[Any] = [np.load(file).astype(np.float32).mean(axis=(0, 1, 2)) for files in found.files for file in files]
    labels = np.repeat([each.label for each in records], draws)
    groups = np.repeat([each.group for each in records], draws)
    return Windows(np.stack(rows), labels, groups, np.full(len(rows), 1 / draws))


def fitted(known: Windows, labels: Sequence[str]) -> Head:
    """→ a regression on ``known``; classes count by the root of their rarity, as in the configurations."""
    sums = {label: float(known.weights[known.labels == label].sum()) for label in labels}
    rarity = np.asarray([np.sqrt(sum(sums.values()) / len(labels) / sums[label]) for label in known.labels])
    scaler = StandardScaler().fit(known.features)
    regression = LogisticRegression(C=STRENGTH, max_iter=500)
    regression.fit(scaler.transform(known.features), known.labels, sample_weight=known.weights * rarity)
    order = [list(regression.classes_).index(label) for label in labels]
    return Head(regression.coef_[order].T, regression.intercept_[order], scaler.mean_, scaler.scale_)


def regressions(windows: Windows, labels: Sequence[str], subjects: Sequence[str]) -> list[Head]:
    """→ one for each fold, which has not seen its subject and its share of the other groups."""
    groups = sorted(set(windows.groups.tolist()))
    folds = np.asarray([fold_of(group, groups, subjects) for group in windows.groups.tolist()])
    return [fitted(windows.part(folds != fold), labels) for fold in range(len(subjects))]
