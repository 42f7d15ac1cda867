"""The pure parts of benchmarks/scenes.py: who an example shows, and what all examples say of a person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.depths import ROWS, SCENES
from benchmarks.scenes import by_person, clip_numbers, person_of
from models.configs.surveillance_scene import CONFIG
from models.data.manifest import ClipRecord
from models.data.tracks.labels_csv import LabelRow
from models.data.tracks.scene_store import LabelledScenes, SceneRecord
from models.training.run.checks import config_problems
from tests.support.places import REPOSITORY

ROWS_OF_TABLE = (
    LabelRow("yard", 1, 40, 90, "Walking"),
    LabelRow("yard", 1, 1, 30, "Standing"),
    LabelRow("yard", 2, 1, 90, "Unclear"),
    LabelRow("gate", 1, 1, 60, "Standing"),
)


def clip(video: str, label: str, start_s: float = 0.0) -> ClipRecord:
    return ClipRecord(Path(f"{video}-{start_s}.mkv"), label, video, video=video, track_id=1, start_s=start_s)


CLIPS = (clip("gate", "Standing"), clip("yard", "Walking", 1.6), clip("yard", "Standing"))


def test_configuration_can_be_trained_and_has_a_row_of_the_table() -> None:
    problems = [text for text in config_problems(CONFIG, REPOSITORY / "weights") if "start from" not in text]
    assert not problems and SCENES in ROWS


def test_example_shows_the_person_of_its_labelled_range() -> None:
    numbers = clip_numbers(CLIPS, LabelledScenes(Path(), ROWS_OF_TABLE))
    assert numbers == {("gate", 1, 1, 60): 0, ("yard", 1, 40, 90): 1, ("yard", 1, 1, 30): 2}
    example = SceneRecord(Path("000064"), "Walking", "yard", video="yard", track_id=1, range=(1, 40, 90))
    assert person_of(example, numbers) == 1


@pytest.mark.parametrize("clips", [CLIPS[:2], (*CLIPS[:2], clip("yard", "Walking"))])
def test_ranges_that_do_not_fit_the_clips_are_refused(clips: tuple[ClipRecord, ...]) -> None:
    with pytest.raises(ValueError, match="track 1 of yard"):
        clip_numbers(clips, LabelledScenes(Path(), ROWS_OF_TABLE))


def test_person_is_what_the_examples_say_on_the_average() -> None:
    said = np.log([[0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.6, 0.4]]) + 5.0  # logits may lie anywhere
    targets, folds = np.array([0, 1, 0]), [np.array([0, 1]), np.array([2])]
    found = by_person(said, np.array([0, 0, 1, 2]), targets, folds)
    np.testing.assert_allclose(found[0], np.log([0.4, 0.4]))
    np.testing.assert_allclose(found[1:], np.log([[0.1, 0.9], [0.6, 0.4]]))


def test_person_without_an_example_gets_the_shares_of_the_other_folds() -> None:
    targets, folds = np.array([0, 0, 1, 0, 1]), [np.array([0, 4]), np.array([1, 2, 3])]
    found = by_person(np.zeros((1, 2)), np.array([1]), targets, folds)
    np.testing.assert_allclose(np.exp(found[0]), [2 / 3, 1 / 3])
    np.testing.assert_allclose(np.exp(found[2]), [0.5, 0.5])
