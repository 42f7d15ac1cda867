"""What a teacher says: nothing that it learnt from a clip's own group, and nothing of groups that judge the pupil."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.training.config import DistilConfig, TrainConfig
from models.training.run import distil
from models.training.run.distil import Lessons, labelled_part, soft_targets, unlabelled_part

LABELS = ("Walking", "Unclear", "Fighting")
CONFIG = TrainConfig("t", distil=DistilConfig(weight=0.5, strength=1.0, unlabelled=("Unclear",)))


def record(label: str, group: int, number: int = 0) -> ClipRecord:
    return ClipRecord(Path(f"{label}-{group}-{number}.mkv"), label, f"g{group}", Split.TRAIN)


@pytest.fixture
def dataset() -> Dataset:
    records = [record(label, group, number) for group in range(6) for label in LABELS for number in range(3)]
    return Dataset(Path(), DatasetInfo(class2label=class2label(LABELS)), tuple(records))


def telling(records: list[ClipRecord], spread: float = 0.1) -> distil.Floats:
    """(N, 2) features that tell Fighting from the others, with a little of the group in them."""
    rng = np.random.default_rng(0)
    wanted = np.array([[each.label == "Fighting", each.label != "Fighting"] for each in records], float)
    return np.asarray(wanted + rng.normal(0, spread, wanted.shape))


def test_unlabelled_classes_leave_the_others_their_order(dataset: Dataset) -> None:
    known = labelled_part(dataset, ("Unclear",))
    assert known.labels == ("Walking", "Fighting")
    assert {each.label for each in known.records} == set(known.labels)
    assert known.targets(known.records[:2]) == [0, 0] and len(known.records) == 36


def test_unlabelled_clips_of_held_out_groups_are_not_learnt(dataset: Dataset) -> None:
    found = unlabelled_part(dataset, ("Unclear",), [record("Walking", 2), record("Fighting", 4)])
    assert {each.label for each in found} == {"Unclear"}
    assert {each.group for each in found} == {"g0", "g1", "g3", "g5"}


def test_unlabelled_clips_of_groups_in_test_are_not_learnt(dataset: Dataset) -> None:
    records = [replace(each, split=Split.TEST) if each.group in {"g1", "g2"} else each for each in dataset.records]
    found = unlabelled_part(replace(dataset, records=tuple(records)), ("Unclear",), [])
    assert {each.group for each in found} == {"g0", "g3", "g4", "g5"}


def test_labelled_clips_mix_label_and_teacher_and_others_are_the_teachers(dataset: Dataset) -> None:
    known = labelled_part(dataset, ("Unclear",))
    train = list(known.records)
    others = unlabelled_part(dataset, ("Unclear",), [])
    soft = soft_targets(CONFIG, telling([*train, *others]), train, known.targets(train), 2)
    assert soft.shape == (54, 2) and soft.dtype == np.float32
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-5)
    own = soft[np.arange(36), known.targets(train)]
    assert (own > 0.75).all() and (own < 1).all()  # half the label, half a teacher that is right
    assert (soft[36:, 0] > 0.5).all()  # Unclear clips look like Walking, and nothing says so but the teacher


def test_teacher_of_a_labelled_clip_did_not_see_its_group(dataset: Dataset) -> None:
    """One feature a group that gives the label away: who saw the group would be sure, who did not knows nothing."""
    known = labelled_part(dataset, ("Unclear",))
    train = list(known.records)
    features = np.zeros((36, 12))
    for row, each in enumerate(train):
        features[row, 2 * int(each.group[1:]) + (each.label == "Fighting")] = 1
    soft = soft_targets(CONFIG, features, train, known.targets(train), 2)
    np.testing.assert_allclose(soft[np.arange(36), known.targets(train)], 0.75, atol=0.05)


def test_lesson_asks_for_features_of_nothing_held_out(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ClipRecord] = []

    def features(_config: object, records: list[ClipRecord], *_rest: object) -> distil.Floats:
        asked.extend(records)
        return telling(records)

    monkeypatch.setattr(distil, "teacher_features", features)
    known = labelled_part(dataset, ("Unclear",))
    train = [each for each in known.records if each.group != "g1"]
    held_out = [each for each in known.records if each.group == "g1"]
    lesson = Lessons(CONFIG, dataset, Path(), Path(), lambda *at: None).lesson(train, held_out, known)
    assert "g1" not in {each.group for each in asked}
    assert len(lesson.unlabelled) == 15 and lesson.targets.shape == (len(train) + 15, 2)
