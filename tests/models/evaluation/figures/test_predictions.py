"""Answers to the clips of a data set: order, views, going on after a break, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.data.manifest import Split
from models.errors import EvaluationError
from models.evaluation.figures.predictions import Views, clip_views, predict
from models.weights.cards import ModelInput
from tests.models.coloured import ColourClassifier, perfect, write_coloured


def test_predict_targets_follow_the_models_order_by_name(tmp_path: Path):
    dataset, classifier = write_coloured(tmp_path, perfect()), ColourClassifier()
    told: list[tuple[int, int]] = []
    found = predict(classifier, dataset, dataset.records, progress=lambda done, total: told.append((done, total)))
    assert found.labels == ("Blue", "Red", "Green")
    assert found.targets.tolist() == [1, 1, 2, 2, 0, 0]
    assert found.logits.argmax(axis=1).tolist() == found.targets.tolist()
    assert classifier.asked == [4, 2] and told == [(4, 6), (6, 6)]
    assert found.groups == ["val-0", "val-0", "val-1", "val-1", "val-2", "val-2"]


def test_predict_goes_on_after_a_break_and_never_asks_twice(tmp_path: Path):
    dataset = write_coloured(tmp_path / "data", perfect())
    journal = tmp_path / "out" / "val.jsonl"

    class Breaking(ColourClassifier):
        def logits(self, clips):
            if self.asked:
                raise KeyboardInterrupt
            return super().logits(clips)

    with pytest.raises(KeyboardInterrupt):
        predict(Breaking(), dataset, dataset.records, journal=journal)
    second = ColourClassifier()
    found = predict(second, dataset, dataset.records, journal=journal)
    assert second.asked == [2], "the four of the first batch were kept"
    third = ColourClassifier()
    again = predict(third, dataset, dataset.records, journal=journal)
    assert third.asked == []
    fresh = predict(ColourClassifier(), dataset, dataset.records)
    np.testing.assert_allclose(found.logits, fresh.logits, rtol=1e-6)
    np.testing.assert_array_equal(again.logits, found.logits)


def test_predict_other_views_or_another_model_begin_anew(tmp_path: Path):
    dataset = write_coloured(tmp_path / "data", perfect(each=1))
    journal = tmp_path / "val.jsonl"
    predict(ColourClassifier(), dataset, dataset.records, journal=journal)
    flipped = ColourClassifier()
    predict(flipped, dataset, dataset.records, Views(flip=True), journal)
    assert sum(flipped.asked) == 6
    other = ColourClassifier()
    other.card = other.card.model_copy(update={"sha256": {**other.card.sha256, "model.keras": "1" * 64}})
    predict(other, dataset, dataset.records, Views(flip=True), journal)
    assert sum(other.asked) == 6


def test_predict_never_scores_what_is_unclear(tmp_path: Path):
    dataset = write_coloured(tmp_path, perfect(each=1))
    records = (replace(dataset.records[0], label="Unclear"), replace(dataset.records[1], label=""), dataset.records[2])
    found = predict(ColourClassifier(), dataset, records)
    assert [record.label for record in found.records] == ["Blue"]


def test_predict_refuses_a_model_of_scenes(tmp_path: Path):
    dataset, classifier = write_coloured(tmp_path, perfect(each=1)), ColourClassifier()
    classifier.card = classifier.card.model_copy(update={"input": ModelInput(kind="scene", frames=16)})
    with pytest.raises(EvaluationError, match="sees whole scenes"):
        predict(classifier, dataset, dataset.records)


def test_predict_lists_all_that_is_wrong_before_any_work(tmp_path: Path):
    dataset, classifier = write_coloured(tmp_path, perfect(each=1)), ColourClassifier(labels=("Red", "Blue"))
    classifier.card = classifier.card.model_copy(update={"input": ModelInput(frames=16, margin=0.5)})
    dataset.records[0].path.unlink()
    with pytest.raises(EvaluationError) as caught:
        predict(classifier, dataset, dataset.records)
    for part in ("no class Green", "1 clips are missing", "clip-00.mp4", "margin of 0.2", "trained with 0.5"):
        assert part in str(caught.value)
    assert classifier.asked == []
    with pytest.raises(EvaluationError, match="no labelled clip"):
        predict(ColourClassifier(), dataset, dataset.of(Split.TEST))


def test_predict_names_every_clip_that_cannot_be_decoded(tmp_path: Path):
    dataset, journal = write_coloured(tmp_path / "data", perfect()), tmp_path / "val.jsonl"
    for record in dataset.records[:2]:
        record.path.write_bytes(b"no video")
    with pytest.raises(EvaluationError, match=r"2 clips cannot be read: .*clip-00.*clip-01"):
        predict(ColourClassifier(), dataset, dataset.records, journal=journal)
    classifier = ColourClassifier()
    predict(classifier, dataset, dataset.records[2:], journal=journal)
    assert classifier.asked == [], "the good ones were answered all the same"


def ramp(length: int, size: int = 8) -> np.ndarray:
    """Picture t has the value t in its left half and 200 in its right."""
    clip = np.full((length, size, size, 3), 200, np.uint8)
    clip[:, :, : size // 2] = np.arange(length)[:, None, None, None]
    return clip


FORM = ModelInput(frames=9, height=32, width=32)


def numbers(view: np.ndarray) -> list[int]:
    return view[:, 0, 0, 0].tolist()


def test_clip_views_are_the_middle_or_both_ends_of_a_longer_clip():
    assert [numbers(view) for view in clip_views(ramp(15), FORM, 25, Views())] == [list(range(3, 12))]
    both = [list(range(9)), list(range(6, 15))]
    assert [numbers(view) for view in clip_views(ramp(15), FORM, 25, Views(windows=2))] == both
    assert clip_views(ramp(15), FORM, 25, Views())[0].shape == (9, 32, 32, 3)


def test_clip_views_of_a_short_clip_are_one_played_back_and_forth():
    views = clip_views(ramp(4), FORM, 25, Views(windows=3))
    assert [numbers(view) for view in views] == [[1, 2, 3, 2, 1, 0, 1, 2, 3]]


def test_clip_views_flip_adds_the_mirror_image():
    plain, mirrored = clip_views(ramp(9), FORM, 25, Views(flip=True))
    np.testing.assert_array_equal(plain, mirrored[:, :, ::-1])
    assert numbers(mirrored) == [200] * 9


def test_clip_views_real_limits_the_pictures_shown():
    (view,) = clip_views(ramp(20), FORM, 25, Views(real=3))
    assert len(set(numbers(view))) == 3


def test_clip_views_of_a_slower_model_take_every_fourth_picture():
    sparse = FORM.model_copy(update={"rate_hz": 6.25})
    (view,) = clip_views(ramp(33), sparse, 25, Views())
    assert numbers(view) == list(range(0, 33, 4))


def test_only_decides_among_the_classes_given(tmp_path: Path):
    dataset = write_coloured(tmp_path, [*perfect(each=1), ("Red", "Blue", Split.VAL)])
    found = predict(ColourClassifier(), dataset, dataset.records).only(("Red", "Green"))
    assert found.labels == ("Red", "Green") and found.targets.tolist() == [0, 1, 0]
    assert len(found) == 3 and found.logits.shape == (3, 2)
    with pytest.raises(EvaluationError, match="unknown classes Yellow"):
        found.only(("Red", "Yellow"))
    with pytest.raises(EvaluationError, match="no clip is labelled Green"):
        predict(ColourClassifier(), dataset, dataset.records[:1]).only(("Green",))


def test_plus_adds_the_logits_of_two_streams(tmp_path: Path):
    dataset = write_coloured(tmp_path, perfect(each=1))
    found = predict(ColourClassifier(), dataset, dataset.records)
    np.testing.assert_allclose(found.plus(found).logits, 2 * found.logits)
    with pytest.raises(EvaluationError, match="same clips"):
        found.plus(predict(ColourClassifier(), dataset, dataset.records[:2]))
