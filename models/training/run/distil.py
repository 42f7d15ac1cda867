"""A larger network teaches a smaller one: its probabilities become the targets that the small one learns (Hinton 2015).

The teacher is a pretrained network whose pooled features, computed once a clip, a logistic regression reads: it learns
anew for every training and fold, in a second, so that no teacher has seen a clip that its pupil is judged by. Labelled
clips are taught by regressions that did not see their group (inner folds), else the teacher would only repeat labels.
Clips of classes that the pupil does not know are its unlabelled ones: it learns them from the teacher alone, all of
them or those of which it is sure (``self_training``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.data.manifest import ClipRecord, Dataset, Split
from models.networks.i3d import features
from models.training.config import CLASS_WEIGHTS, ClipInput, DistilConfig, Mode, TrainConfig, TrustConfig
from models.training.feature_cache import ClipReader, Frozen, Progress, features_of, short_key
from models.training.frozen_front import front_key
from models.training.run.cross_validation import grouped_folds
from models.training.run.losses import balanced_class_weights
from models.training.run.networks import trainable
from models.training.run.self_training import said_by_others, trusted
from models.weights.start import find_weights, read_start

Floats = NDArray[np.float64]
INNER_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Lesson:
    """Clips without a label of their own, and soft targets (N, C): of the labelled clips first, then of these."""

    unlabelled: tuple[ClipRecord, ...]
    targets: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lessons:
    """What the teacher says in every fold of one training. ``dataset``: with the classes that are unlabelled."""

    config: TrainConfig
    dataset: Dataset
    weights: Path
    cache: Path
    progress: Progress

    def lesson(self, train: Sequence[ClipRecord], held_out: Sequence[ClipRecord], known: Dataset) -> Lesson:
        """→ what is to be learnt of ``train``, and of unlabelled clips of no group in ``held_out`` or in test.

        ``known``: the data set of labelled clips, which numbers the classes.
        """
        others = unlabelled_part(self.dataset, _distilled(self.config).unlabelled, held_out)
        seen = teacher_features(self.config, [*train, *others], self.weights, self.cache, self.progress)
        targets = known.targets(train)
        soft = soft_targets(self.config, seen, train, targets, len(known.labels))
        trust = _distilled(self.config).trust
        if trust is None or not others:
            return Lesson(tuple(others), soft)
        views = teacher_views(self.config, trust, others, self.weights, self.cache, self.progress)
        said = _said(self.config, seen[: len(train)], train, targets, (others, views), len(known.labels))
        kept = np.flatnonzero(trusted(said, trust.chance))
        told = np.concatenate([soft[: len(train)], said[kept].mean(axis=1)])
        return Lesson(tuple(others[index] for index in kept), told.astype(np.float32))


def labelled_part(dataset: Dataset, unlabelled: Sequence[str]) -> Dataset:
    """→ the data set without the classes ``unlabelled`` and their clips; the others keep their order."""
    labels = [label for label in dataset.labels if label not in unlabelled]
    info = dataset.info.model_copy(update={"class2label": {label: index for index, label in enumerate(labels)}})
    return Dataset(dataset.folder, info, tuple(each for each in dataset.records if each.label not in unlabelled))


def unlabelled_part(dataset: Dataset, unlabelled: Sequence[str], held_out: Sequence[ClipRecord]) -> list[ClipRecord]:
    """→ the clips of the classes ``unlabelled``, without those of a group that judges: of ``held_out``, or of test."""
    groups = {record.group for record in (*held_out, *dataset.of(Split.TEST))}
    return [each for each in dataset.records if each.label in unlabelled and each.group not in groups]


def teacher_features(
    config: TrainConfig, records: Sequence[ClipRecord], weights: Path, cache: Path, progress: Progress
) -> Floats:
    """→ (N, F): the teacher's features of each plain clip, averaged over time and space."""
    return _pooled(config, _distilled(config).input, [(record, 1) for record in records], weights, cache, progress)[
        :, 0
    ]


def teacher_views(
    config: TrainConfig,
    trust: TrustConfig,
    records: Sequence[ClipRecord],
    weights: Path,
    cache: Path,
    progress: Progress,
) -> Floats:
    """→ (N, 1 + draws, F): the same of each clip, plain and in augmented views."""
    seen = replace(_distilled(config).input, augment=trust.augment)
    return _pooled(config, seen, [(record, 1 + trust.draws) for record in records], weights, cache, progress)


def _pooled(
    config: TrainConfig,
    seen: ClipInput,
    wanted: Sequence[tuple[ClipRecord, int]],
    weights: Path,
    cache: Path,
    progress: Progress,
) -> Floats:
    """Clips and how many draws of each, all as many → (N, K, F)."""
    distil = _distilled(config)
    own = replace(config, network=distil.network, input=seen, distil=None)
    reader = trainable(own).examples.reader(Mode.RGB)
    start = read_start(find_weights(distil.network.init, weights))
    frozen = pooled_front(trainable(own).build(Mode.RGB, ("one", "other"), start), distil.endpoints, reader)
    found = features_of(frozen, wanted, reader, cache, progress)
    return np.array([[np.load(file).astype(np.float64) for file in row] for row in found.files])


def pooled_front(model: Any, endpoints: Sequence[str], reader: ClipReader) -> Frozen:
    """→ the clip → features (F,): of every endpoint of an I3D, averaged over time and space, one after another."""
    means = [keras.ops.mean(features(model, endpoint).output, axis=(1, 2, 3)) for endpoint in endpoints]
    front = keras.Model(model.input, keras.ops.concatenate(means, axis=-1), name="teacher")
    return Frozen(front, Mode.RGB, f"teacher-{short_key(front_key(front), str(reader.shape), *endpoints)}")


def soft_targets(
    config: TrainConfig, seen: Floats, labelled: Sequence[ClipRecord], targets: Sequence[int], classes: int
) -> NDArray[np.float32]:
    """``seen`` (N, F): features of the labelled clips first → (N, C): what the pupil is to learn of each clip.

    Labelled clips: ``weight`` of the teacher's probabilities and the rest of the label; others: the probabilities.
    """
    distil, count, wanted = _distilled(config), len(labelled), np.asarray(targets)
    taught = np.zeros((len(seen), classes))
    for held_out in grouped_folds(labelled, targets, INNER_FOLDS, config.seed):
        inside = np.setdiff1d(np.arange(count), held_out)
        taught[held_out] = _taught(distil, seen[inside], wanted[inside], seen[held_out], classes)
    taught[:count] = distil.weight * taught[:count] + (1 - distil.weight) * np.eye(classes)[wanted]
    if len(seen) > count:
        taught[count:] = _taught(distil, seen[:count], wanted, seen[count:], classes)
    return taught.astype(np.float32)


def _said(
    config: TrainConfig,
    seen: Floats,
    labelled: Sequence[ClipRecord],
    targets: Sequence[int],
    asked: tuple[Sequence[ClipRecord], Floats],
    classes: int,
) -> Floats:
    """``seen`` (M, F) of the labelled clips; ``asked``: clips and their views (N, K, F) → (N, K, C)."""
    distil, wanted = _distilled(config), np.asarray(targets)

    def teach(learnt: NDArray[np.int64], views: Floats) -> Floats:
        return _taught(distil, seen[learnt], wanted[learnt], views, classes)

    return said_by_others(teach, labelled, targets, *asked, folds=INNER_FOLDS, seed=config.seed)


def _taught(distil: DistilConfig, known: Floats, targets: NDArray[Any], asked: Floats, classes: int) -> Floats:
    """→ (N, C): what a regression that learnt ``targets`` of ``known`` (M, F) says of ``asked`` (N, F)."""
    factors = dict(enumerate(balanced_class_weights(targets.tolist(), classes, CLASS_WEIGHTS["root"])))
    regression = LogisticRegression(C=distil.strength, max_iter=1000, class_weight=factors)
    fitted = make_pipeline(StandardScaler(), regression).fit(known, targets)
    probabilities = np.zeros((len(asked), classes))  # 0 for a class that is not among ``targets``
    probabilities[:, fitted.classes_] = np.exp(fitted.predict_log_proba(asked) / distil.temperature)
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))


def _distilled(config: TrainConfig) -> DistilConfig:
    if config.distil is None:
        raise ValueError(f"{config.name} has no teacher")
    return config.distil
