"""The card of a person detector, and that the classifiers' side passes it over in silence."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import CardError, ChecksumError, TrainingError
from models.person_training.card import PersonCard, read_person_card, write_person_card
from models.person_training.evaluation import Matched
from models.person_training.making import CardTexts, make
from models.person_training.recipe import PersonRecipe
from models.person_training.report import KEPT_CONFIDENCES, choose, figures, rescoring, table, write_figures
from models.weights.cards import list_models
from pipeline.files import file_sha256


def found(*right: bool, people: int = 4) -> Matched:
    return Matched(np.linspace(0.9, 0.5, len(right)).astype(np.float32), np.array(right), people)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "weights" / "person"
    folder.mkdir(parents=True)
    (folder / "person.pt").write_bytes(b"weights")
    card = PersonCard(
        name="person",
        architecture="YOLO11n",
        data="videos",
        licence="AGPL-3.0",
        provenance="a test",
        command="actoscope train-person",
        seed=1,
        share=0.5,
        metrics={"PETS": figures(found(True, True, False), 640)},
        start_metrics={"PETS": figures(found(True, False, False), 640)},
        limits="a test",
        recipes={"cpu": "…"},
        sha256={"person.pt": file_sha256(folder / "person.pt")},
    )
    write_person_card(card, folder)
    return folder


def test_card_gives_back_what_was_written(folder: Path) -> None:
    card = read_person_card(folder)
    assert card.metrics["PETS"].recall == 0.5
    assert card.metrics["PETS"].precision == pytest.approx(2 / 3, abs=1e-4)
    assert card.classes == ("person",)


def test_list_models_passes_a_detector_over_in_silence(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert list_models(folder.parent) == []
    assert caplog.text == ""


def test_list_models_still_warns_of_a_broken_classifier(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "card.json").write_text('{"kind": "se_i3d"}')
    with caplog.at_level(logging.WARNING):
        assert list_models(folder.parent) == []
    assert "left out" in caplog.text


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        content = json.loads((folder / "card.json").read_text())
        change(content)
        (folder / "card.json").write_text(json.dumps(content))

    return edit


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: (f / "person.pt").write_bytes(b"other"), ChecksumError, "damaged"),
        (lambda f: (f / "person.pt").unlink(), CardError, "missing"),
        (lambda f: (f / "card.json").unlink(), CardError, "cannot be read"),
        (edited(lambda d: d.pop("licence")), CardError, "licence"),
        (edited(lambda d: d["metrics"]["PETS"].update(recall=1.5)), CardError, "recall"),
        (edited(lambda d: d.update(kind="se_i3d")), CardError, "kind"),
    ],
)
def test_read_card_of_a_broken_folder_says_what_is_wrong(
    folder: Path, damage: Callable[[Path], object], error: type[Exception], message: str
) -> None:
    damage(folder)
    with pytest.raises(error, match=message):
        read_person_card(folder)


def test_choose_takes_the_best_fine_tuned_one_never_the_start() -> None:
    tried = {0.0: found(True, True, True), 0.5: found(True, True, False), 1.0: found(True, False, False)}
    choice = choose(tried)
    assert choice.share == 0.5
    assert choice.average_precisions[0.0] == pytest.approx(0.75)
    assert choice.rescoring == (1.0, 0.0)  # too few detections to tell


def test_rescoring_gives_back_the_start_counts_at_both_thresholds() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 400)
    right = np.ones(400, bool)

    def sigmoid(values: np.ndarray) -> np.ndarray:
        return (1 / (1 + np.exp(-values))).astype(np.float32)

    start, tuned = Matched(sigmoid(logits), right, 400), Matched(sigmoid(0.5 * logits + 1), right, 400)
    scale, offset = rescoring(start, tuned)
    again = sigmoid(scale * (0.5 * logits + 1) + offset)
    for confidence in KEPT_CONFIDENCES:
        assert abs((again >= confidence).sum() - (start.confidences >= confidence).sum()) <= 1
    assert scale == pytest.approx(2, rel=0.1)


def test_table_and_json_say_the_same(tmp_path: Path) -> None:
    rows = {"start": found(True, False), "tuned": found(True, True)}
    lines = table(rows).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["start", "0.2500"], ["tuned", "0.5000"]]
    assert "0.500/1.000" in lines[2]
    write_figures(rows, tmp_path / "figures.json")
    content = json.loads((tmp_path / "figures.json").read_text())
    assert content["tuned"]["at"]["0.25"] == {"recall": 0.5, "precision": 1.0}


def test_make_without_pictures_to_measure_on_is_refused_before_any_work(tmp_path: Path) -> None:
    recipe = PersonRecipe(tmp_path / "data", tmp_path / "start.pt", tmp_path / "work")
    with pytest.raises(TrainingError, match="could not be measured"):
        make(recipe, tmp_path, tmp_path / "out", CardTexts("videos", "…"), lambda _: None)
    assert not (tmp_path / "work").exists()
