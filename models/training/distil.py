"""A larger network teaches a smaller one: its probabilities become the targets that the small one learns (Hinton 2015).

The teacher is a pretrained network whose pooled features, computed once a clip, a logistic regression reads: it learns
anew for every training and fold, in a second, so that no teacher has seen a clip that its pupil is judged by. Labelled
clips are taught by regressions that did not see their group (inner folds), else the teacher would only repeat labels.
Clips of classes that the pupil does not know are its unlabelled ones: it learns them from the teacher alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.data.manifest import ClipRecord, Dataset
from models.networks.i3d import AVG_POOL
from models.training.config import DistilConfig, Mode, TrainConfig, TransferConfig
from models.training.feature_cache import Progress, features_of
from models.training.run.cross_validation import grouped_folds
from models.training.run.networks import trainable
from models.weights.start import find_weights, read_start

Floats = NDArray[np.float64]
INNER_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Lesson:
    """Clips without a label of their own, and soft targets (N, C): of the labelled clips first, then of these."""

    unlabelled: tuple[ClipRecord, ...]
    targets: NDArray[np.float32]


def labelled_part(dataset: Dataset, unlabelled: Sequence[str]) -> Dataset:
    """→ the data set without the classes ``unlabelled`` and their clips; the others keep their order."""
    labels = [label for label in dataset.labels if label not in unlabelled]
    info = dataset.info.model_copy(update={"class2label": {label: index for index, label in enumerate(labels)}})
    return Dataset(dataset.folder, info, tuple(each for each in dataset.records if each.label not in unlabelled))


def unlabelled_part(dataset: Dataset, unlabelled: Sequence[str], held_out: Sequence[ClipRecord]) -> list[ClipRecord]:
    """→ the clips of the classes ``unlabelled``, without those of a group that a clip of ``held_out`` belongs to."""
    groups = {record.group for record in held_out}
    return [each for each in dataset.records if each.label in unlabelled and each.group not in groups]


def teacher_features(
    config: TrainConfig, records: Sequence[ClipRecord], weights: Path, cache: Path, progress: Progress
) -> Floats:
    """→ (N, F): the teacher's features of each plain clip, averaged over time and space."""
    distil = _distilled(config)
    own = replace(
        config, network=distil.network, input=distil.input, transfer=TransferConfig(cache_at=AVG_POOL), distil=None
    )
    network = trainable(own)
    start = read_start(find_weights(distil.network.init, weights))
    frozen = network.front(Mode.RGB, network.build(Mode.RGB, ("one", "other"), start))
    wanted = [(record, 1) for record in records]
    found = features_of(frozen, wanted, network.examples.reader(Mode.RGB), cache, progress)
    return np.stack([np.load(row[0]).astype(np.float64).mean(axis=(0, 1, 2)) for row in found.files])


def soft_targets(
    config: TrainConfig, features: Floats, labelled: Sequence[ClipRecord], targets: Sequence[int], classes: int
) -> NDArray[np.float32]:
    """``features`` (N, F) of the labelled clips first → (N, C): what the pupil is to learn of each clip.

    Labelled clips: ``weight`` of the teacher's probabilities and the rest of the label; others: the probabilities.
    """
    distil, count = _distilled(config), len(labelled)
    logits = np.zeros((len(features), classes))
    folds = grouped_folds(labelled, targets, INNER_FOLDS, config.seed)
    wanted = np.asarray(targets)
    for held_out in folds:
        inside = np.setdiff1d(np.arange(count), held_out)
        logits[held_out] = _regression(distil, features[inside], wanted[inside]).decision_function(features[held_out])
    if len(features) > count:
        logits[count:] = _regression(distil, features[:count], wanted).decision_function(features[count:])
    scaled = logits / distil.temperature
    taught = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    taught /= taught.sum(axis=1, keepdims=True)
    one_hot = np.eye(classes)[wanted]
    taught[:count] = distil.weight * taught[:count] + (1 - distil.weight) * one_hot
    return taught.astype(np.float32)


def _regression(distil: DistilConfig, features: Floats, targets: NDArray[Any]) -> Any:
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=distil.strength, max_iter=1000))
    return fitted.fit(features, targets)


def _distilled(config: TrainConfig) -> DistilConfig:
    if config.distil is None:
        raise ValueError(f"{config.name} has no teacher")
    return config.distil
