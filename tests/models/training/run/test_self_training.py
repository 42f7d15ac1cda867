"""A teacher is believed where it is sure in every view, and asked about nobody whose group it has seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.training.config import DistilConfig, TrainConfig, TrustConfig
from models.training.crops import CropReader, Crops
from models.training.feature_cache import FeatureSet
from models.training.run import distil
from models.training.run.distil import Lessons, labelled_part
from models.training.run.loop import Splits, training_key
from models.training.run.self_training import Floats, said_by_others, trusted

LABELS = ("Walking", "Unclear", "Fighting")
CONFIG = TrainConfig("t", distil=DistilConfig(strength=1.0, unlabelled=("Unclear",), trust=TrustConfig(0.7, draws=2)))


def record(label: str, group: int, number: int = 0) -> ClipRecord:
    return ClipRecord(Path(f"{label}-{group}-{number}.mkv"), label, f"g{group}", Split.TRAIN)


@pytest.fixture
def dataset() -> Dataset:
    records = [record(label, group, number) for group in range(6) for label in LABELS for number in range(3)]
    return Dataset(Path(), DatasetInfo(class2label=class2label(LABELS)), tuple(records))


def test_trusted_is_what_every_view_calls_the_same_with_certainty() -> None:
    said = np.array(
        [
            [[0.95, 0.05], [0.92, 0.08]],  # sure twice
            [[0.95, 0.05], [0.70, 0.30]],  # once
            [[0.95, 0.05], [0.05, 0.95]],  # sure of one thing and of the other
            [[0.10, 0.90], [0.02, 0.98]],  # sure twice, just so
        ]
    )
    assert trusted(said, 0.9).tolist() == [True, False, False, True]


def test_nobody_is_asked_about_a_group_that_it_learnt_from() -> None:
    labelled = [record(label, group, number) for group in range(5) for label in LABELS[::2] for number in range(4)]
    targets = [int(each.label == "Fighting") for each in labelled]
    asked = [record("Unclear", group) for group in (0, 3, 9)]
    views = np.arange(3 * 2 * 4, dtype=float).reshape(3, 2, 4)
    seen: list[tuple[set[str], Floats]] = []

    def teach(learnt: np.ndarray, flat: Floats) -> Floats:
        seen.append(({labelled[index].group for index in learnt}, flat))
        return np.stack([flat[:, 0], -flat[:, 0]], axis=1)

    said = said_by_others(teach, labelled, targets, asked, views, folds=5, seed=0)
    assert said.shape == (3, 2, 2)
    np.testing.assert_array_equal(said[..., 0], views[..., 0])  # each answer stands in its clip's and view's place
    everybody, *folds = seen
    assert everybody[0] == {f"g{group}" for group in range(5)}
    for index, group in enumerate(("g0", "g3")):
        told = [groups for groups, flat in folds if (flat == views[index, 0]).all(axis=1).any()]
        assert len(told) == 1 and group not in told[0]
    assert not any((flat == views[2, 0]).all(axis=1).any() for _, flat in folds), "g9 has no labels to leak"


def views_of(records: list[ClipRecord], flips: set[int]) -> Floats:
    """(N, 3, 2): all look like Walking, but those of ``flips``, of which one view looks like Fighting."""
    views = np.tile([0.0, 1.0], (len(records), 3, 1))
    for index in flips:
        views[index, 1] = [1.0, 0.0]
    return views


def test_lesson_holds_the_clips_that_are_believed(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def features(_config: object, records: list[ClipRecord], *_rest: object) -> Floats:
        return np.array([[each.label == "Fighting", each.label != "Fighting"] for each in records], float)

    def views(_config: object, trust: TrustConfig, records: list[ClipRecord], *_rest: object) -> Floats:
        assert trust.draws == 2
        return views_of(records, {0, 4})

    monkeypatch.setattr(distil, "teacher_features", features)
    monkeypatch.setattr(distil, "teacher_views", views)
    known = labelled_part(dataset, ("Unclear",))
    train = list(known.records)
    lesson = Lessons(CONFIG, dataset, Path(), Path(), lambda *at: None).lesson(train, [], known)
    unclear = [each for each in dataset.records if each.label == "Unclear"]
    assert list(lesson.unlabelled) == [each for index, each in enumerate(unclear) if index not in {0, 4}]
    assert lesson.targets.shape == (len(train) + len(unclear) - 2, 2) and lesson.targets.dtype == np.float32
    np.testing.assert_allclose(lesson.targets.sum(axis=1), 1, rtol=1e-5)
    assert (lesson.targets[len(train) :, 0] > 0.7).all()


def test_lesson_of_a_teacher_that_believes_nothing_is_the_labels(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distil, "teacher_features", lambda _config, records, *_: np.ones((len(records), 2)))
    monkeypatch.setattr(distil, "teacher_views", lambda _config, _trust, records, *_: views_of(records, set()))
    known = labelled_part(dataset, ("Unclear",))
    lesson = Lessons(CONFIG, dataset, Path(), Path(), lambda *at: None).lesson(list(known.records), [], known)
    assert lesson.unlabelled == () and lesson.targets.shape == (36, 2)


def test_views_are_the_plain_clip_and_augmented_ones_and_features_the_plain_one_alone(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[CropReader] = []

    def computed(
        _frozen: object, wanted: list[tuple[ClipRecord, int]], reader: CropReader, root: Path, *_: object
    ) -> FeatureSet:
        readers.append(reader)
        rows = [[root / f"{index}-{draw}.npy" for draw in range(draws)] for index, (_, draws) in enumerate(wanted)]
        for index, row in enumerate(rows):
            for draw, file in enumerate(row):
                np.save(file, np.array([index, draw], np.float16))
        return FeatureSet(tuple(map(tuple, rows)), (2,))

    network = SimpleNamespace(build=lambda *_: None)
    monkeypatch.setattr(distil, "trainable", lambda own: SimpleNamespace(examples=Crops(own), build=network.build))
    monkeypatch.setattr(distil, "pooled_front", lambda *_: None)
    monkeypatch.setattr(distil, "read_start", lambda _: None)
    monkeypatch.setattr(distil, "features_of", computed)
    assert CONFIG.distil is not None and CONFIG.distil.trust is not None
    records = list(dataset.records[:4])
    views = distil.teacher_views(CONFIG, CONFIG.distil.trust, records, tmp_path, tmp_path, lambda *_: None)
    assert views.shape == (4, 3, 2) and views[3].tolist() == [[3, 0], [3, 1], [3, 2]]
    plain = distil.teacher_features(CONFIG, records, tmp_path, tmp_path, lambda *_: None)
    assert plain.tolist() == [[0, 0], [1, 0], [2, 0], [3, 0]]
    assert [reader.config.augment for reader in readers] == [CONFIG.distil.trust.augment, None]


def test_trainings_that_trust_otherwise_have_other_names(dataset: Dataset) -> None:
    splits = Splits(train=None, val=None, class_weights=None)  # type: ignore[arg-type]  # only its targets are named
    assert CONFIG.distil is not None
    plain = replace(CONFIG, distil=replace(CONFIG.distil, trust=None))
    keys = {training_key(config, splits) for config in (CONFIG, plain)}
    assert len(keys) == 2
