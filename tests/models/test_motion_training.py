"""Learning what boxes say, on ways made by hand; and the head that ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import motion_training
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.errors import DatasetError
from models.motion_training import fit_head, fused, held_out, looks, read_answers
from models.training.run.cross_validation import grouped_folds
from models.weights.cards import read_card
from models.weights.motion_head import read_motion_head
from pipeline.motion import FEATURES, POSTURE, Way, motion
from pipeline.motion_voice import MotionHead
from tests.support.places import REPOSITORY

LABELS = ("Standing", "Walking")


def way(speed: float, seed: int, samples: int = 50) -> Way:
    rng = np.random.default_rng(seed)
    left = 100 * speed * np.arange(samples) / 25
    boxes = np.stack([left, np.zeros(samples), left + 45, np.full(samples, 100.0)], axis=1)
    return Way(boxes + rng.normal(0, 1.0, boxes.shape), np.zeros((0, samples, 4)))


def people() -> tuple[list[Way], np.ndarray]:
    targets = np.arange(40) % 2
    return [way(1.2 * target + 0.05 * (seed % 5), seed) for seed, target in enumerate(targets)], targets


@pytest.mark.parametrize(("samples", "count"), [(200, 7), (50, 5), (14, 3)])
def test_looks_begin_with_the_person_as_it_is_and_are_the_same_again(samples: int, count: int) -> None:
    found = looks(way(1.0, 1, samples), seed=3)
    assert found.shape == (count, FEATURES) and np.isfinite(found).all()
    assert found[0] == pytest.approx(motion(way(1.0, 1, samples)))
    assert (looks(way(1.0, 1, samples), seed=3) == found).all()


@pytest.mark.parametrize(("samples", "count"), [(20, 1), (64, 1), (80, 2), (100, 4), (2000, 12)])
def test_looks_at_posture_are_windows_from_the_first_to_the_last(samples: int, count: int) -> None:
    walked = way(1.0, 1, samples)
    found = looks(walked, seed=3, posture=True)
    assert found.shape == (count, FEATURES + POSTURE)
    for row, window in ((found[0], slice(0, 64)), (found[-1], slice(max(0, samples - 64), samples))):
        assert row == pytest.approx(motion(Way(walked.boxes[window], walked.others[:, window]), posture=True))


def test_head_that_knows_posture_is_asked_with_it() -> None:
    ways, targets = people()
    head = fit_head([looks(each, seed, posture=True) for seed, each in enumerate(ways)], targets, LABELS)
    assert head.posture and head.log_chances(motion(way(1.3, 99), posture=True)).argmax() == 1
    with pytest.raises(ValueError, match="expected 2 classes and 56 features, or 71 with those of posture"):
        replace(head, means=head.means[:60])


def test_head_learns_who_moves() -> None:
    ways, targets = people()
    head = fit_head([looks(each, seed) for seed, each in enumerate(ways)], targets, LABELS)
    assert head.log_chances(motion(way(1.3, 99))).argmax() == 1
    assert head.log_chances(motion(way(0.1, 98))).argmax() == 0


def test_nobody_is_judged_by_a_head_that_saw_the_source_video() -> None:
    """The labels of one group are turned round: only a head that learnt from them could repeat them."""
    ways, targets = people()
    groups = [f"g{index // 4}" for index in range(40)]
    turned = np.array([target if group != "g3" else 1 - target for target, group in zip(targets, groups, strict=True)])
    records = tuple(
        ClipRecord(Path(f"{index}.mkv"), LABELS[target], group, Split.TRAIN)
        for index, (target, group) in enumerate(zip(turned, groups, strict=True))
    )
    dataset = Dataset(Path(), DatasetInfo(class2label=class2label(LABELS)), records)
    called = held_out([looks(each, seed) for seed, each in enumerate(ways)], dataset).argmax(axis=1)
    inside = np.array([group == "g3" for group in groups])
    assert (called[inside] != turned[inside]).all() and (called[~inside] == turned[~inside]).mean() > 0.9


def test_shipped_head_knows_a_walk_from_a_stand() -> None:
    head = read_motion_head(read_card(REPOSITORY / "weights" / "surveillance-light"))
    assert head is not None and head.labels == ("Fighting", "Standing", "Walking", "Other")
    assert head.labels[int(head.log_chances(motion(way(0, 1, 64))).argmax())] == "Standing"
    assert head.labels[int(head.log_chances(motion(way(0.8, 2, 64))).argmax())] == "Walking"


def test_answers_of_a_training_are_read_in_the_order_of_the_clips(tmp_path: Path) -> None:
    records = tuple(
        ClipRecord(tmp_path / f"{name}.mkv", label, name, Split.TRAIN)
        for name, label in zip("abc", (*LABELS, "Walking"), strict=True)
    )
    dataset = Dataset(tmp_path, DatasetInfo(class2label=class2label(LABELS)), records)
    file = tmp_path / "cv_predictions.csv"
    file.write_text(
        "path,label,group,fold,Standing,Walking\nc.mkv,Walking,c,1,0,3\na.mkv,Standing,a,1,2,0\nb.mkv,Walking,b,2,1,0\n"
    )
    found = read_answers(file, dataset)
    assert found.argmax(axis=1).tolist() == [0, 0, 1]
    assert np.exp(found).sum(axis=1) == pytest.approx(1)
    file.write_text("path,Standing,Walking\na.mkv,1,0\n")
    with pytest.raises(DatasetError, match="no answers to every clip"):
        read_answers(file, dataset)


def test_both_opinions_count_alike_and_none_outvotes_by_being_sure() -> None:
    sure, unsure = np.log([[1 - 1e-12, 1e-12]]), np.log([[0.3, 0.7]])
    assert fused(sure, unsure) == pytest.approx(fused(unsure, sure))
    assert fused(sure, np.log([[1e-12, 1 - 1e-12]]))[0] == pytest.approx(np.log([1e-2, 1e-2]), rel=1e-6)


def test_fold_that_is_left_out_teaches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways, targets = people()
    records = tuple(
        ClipRecord(tmp_path / f"{index}.mkv", LABELS[target], f"g{index // 4}", Split.TRAIN)
        for index, target in enumerate(targets)
    )
    dataset = Dataset(tmp_path, DatasetInfo(class2label=class2label(LABELS)), records)
    held = grouped_folds(records, targets.tolist(), 5, 0)[1]
    written: list[MotionHead] = []
    monkeypatch.setattr(motion_training, "read_dataset", lambda _: dataset)
    monkeypatch.setattr(motion_training, "write_motion_head", lambda _, head: written.append(head))
    for broken in (False, True):
        shown = [way(9.0, 1) if broken and index in held else each for index, each in enumerate(ways)]
        monkeypatch.setattr(motion_training, "people", lambda *_, shown=shown: shown)
        monkeypatch.setattr("sys.argv", ["x", "--work", str(tmp_path), "--without", "2", "--output", str(tmp_path)])
        assert motion_training.main() == 0
    assert written[0] == written[1] and written[0].temperature == motion_training.TEMPERATURE
