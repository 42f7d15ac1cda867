"""Temperature scaling finds the temperature that was hidden, and the card takes it without loss."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.errors import CardError
from models.evaluation.figures.calibration import (
    calibration,
    error_by_chance,
    expected_calibration_error,
    fit_by_group,
    fit_temperature,
    negative_log_likelihood,
    probabilities,
    write_temperature,
)
from models.weights.cards import read_card
from tests.service.conftest import write_model


def examples(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``temperature`` times too large for the classes drawn from them."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (count, 4))
    targets = np.array([rng.choice(4, p=row) for row in probabilities(honest)])
    return honest * temperature, targets


def test_fit_temperature_finds_the_one_that_was_hidden():
    logits, targets = examples(4000, 2.5)
    found = fit_temperature(logits, targets)
    assert found == pytest.approx(2.5, rel=0.08)
    best = negative_log_likelihood(logits, targets, found)
    assert best <= negative_log_likelihood(logits, targets, found * 1.05)
    assert best <= negative_log_likelihood(logits, targets, found / 1.05)
    assert calibration(logits, targets, found).ece < 0.03 < 0.1 < calibration(logits, targets).ece


def test_fit_temperature_of_separable_examples_stays_within_limits():
    found = fit_temperature(np.eye(3), np.arange(3))
    assert 0.04 < found < 0.1, "the sharper the better, but no division by nothing"


def test_fit_by_group_never_looks_at_the_examples_own_group():
    logits, targets = examples(300, 2.0)
    groups = [f"g{index % 3}" for index in range(300)]
    found = fit_by_group(logits, targets, groups)
    others = np.array([name != "g1" for name in groups])
    assert found[1] == pytest.approx(fit_temperature(logits[others], targets[others]))
    assert len(set(found)) == 3
    assert (fit_by_group(logits, targets, ["one"] * 300) == 1).all()


def test_expected_calibration_error_hand_computed():
    # Four at 0.9 of which two are right (gap 0.4), one at 0.6 that is right (gap 0.4).
    chances = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]])
    assert expected_calibration_error(chances, np.array([0, 0, 1, 1, 0])) == pytest.approx(0.4)
    bins = calibration(np.log(chances), np.array([0, 0, 1, 1, 0])).bins
    assert sum(item.count for item in bins) == 5
    full = next(item for item in bins if item.count == 4)
    assert (full.confidence, full.accuracy) == pytest.approx((0.9, 0.5))
    assert full.low < 0.9 <= full.high


def test_error_by_chance_is_what_perfect_probabilities_get():
    logits, _ = examples(60, 1.0)
    chances = probabilities(logits)
    rng = np.random.default_rng(5)
    seen = [expected_calibration_error(chances, np.array([rng.choice(4, p=row) for row in chances])) for _ in range(60)]
    assert error_by_chance(chances) == pytest.approx(np.mean(seen), abs=0.015)
    assert error_by_chance(chances) > 0.05 > error_by_chance(probabilities(examples(5000, 1.0)[0]))
    assert error_by_chance(np.eye(3)) == 0


def test_probabilities_stay_finite_for_huge_logits():
    assert probabilities(np.array([[1e4, 0, -1e4]])).tolist() == [[1, 0, 0]]


def test_write_temperature_changes_the_card_only_there(tmp_path: Path):
    folder = tmp_path / "model"
    write_model(folder)
    before = json.loads((folder / "card.json").read_text())
    write_temperature(folder, 1.2345678, {"val/ece": 0.03})
    assert read_card(folder).temperature == 1.234568
    assert json.loads((folder / "card.json").read_text()) == {
        **before,
        "temperature": 1.234568,
        "metrics": {"val/ece": 0.03},
    }
    write_temperature(folder, 1.5, {"val/top1": 0.9})
    assert read_card(folder).metrics == {"val/ece": 0.03, "val/top1": 0.9}
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "labels.txt"], "nothing is left behind"


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_write_temperature_refuses_what_the_card_cannot_hold(tmp_path: Path, temperature: float):
    write_model(tmp_path / "model")
    before = (tmp_path / "model" / "card.json").read_bytes()
    with pytest.raises(CardError, match="temperature"):
        write_temperature(tmp_path / "model", temperature)
    assert (tmp_path / "model" / "card.json").read_bytes() == before
