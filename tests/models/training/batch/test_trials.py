"""The trials of a tuning: what they learn, what is kept of them, and which is picked."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import StoreError, TrainingError
from models.store.folder import FolderStore
from models.training.batch.trials import (
    Judged,
    Progress,
    best_of,
    claim,
    judged,
    keep_progress,
    keep_table,
    pick,
    picked_source,
    read_progress,
    table,
    trials_of,
    tuning_key,
)
from models.training.config import OptimizerKind, TrainConfig, load_config
from models.training.search import Choice, SearchConfig, Uniform

SEARCH = SearchConfig({"mixup": Uniform(0.0, 0.4), "optimizer.kind": Choice((OptimizerKind.ADAM, OptimizerKind.ADAMW))})
CONFIG = TrainConfig("gym", refit_on="train+val", folds=3, search=SEARCH)


def rows(*values: float) -> tuple[dict[str, float], ...]:
    return tuple({"epoch": epoch, "val_macro_f1": value} for epoch, value in enumerate(values, 1))


def found(*curves: tuple[float, ...]) -> tuple[Judged, ...]:
    trials = trials_of(CONFIG, len(curves), 0)
    return tuple(
        judged(trial, Progress(rows(*curve)), "all epochs") for trial, curve in zip(trials, curves, strict=True)
    )


def test_trials_differ_in_what_is_tried_and_are_all_chosen_by_val() -> None:
    first, second = (trial.config for trial in trials_of(CONFIG, 2, 0))
    assert first == replace(CONFIG, name="gym-trial-0", refit_on="train", folds=0, search=None)
    assert second.mixup == trials_of(CONFIG, 2, 0)[1].values["mixup"] != first.mixup
    with pytest.raises(TrainingError, match="expected a seed of at least 0, got -1"):
        trials_of(CONFIG, 2, -1)
    with pytest.raises(TrainingError, match="monitor must be one of"):
        trials_of(replace(CONFIG, monitor="loss"), 2, 0)


def test_best_epoch_of_the_best_trial_is_picked_and_the_first_of_equal_ones() -> None:
    trials = found((0.2, 0.7, 0.5), (0.1,), (0.7, 0.7), ())
    chosen = pick(trials, "val_macro_f1")
    assert chosen is not None and (chosen.trial.number, chosen.best, chosen.best_epoch) == (0, 0.7, 2)
    assert pick(found(()), "val_macro_f1") is None


def test_trial_that_has_diverged_is_not_measured() -> None:
    lost, found = trials_of(replace(CONFIG, monitor="val_loss"), 2, 0)
    rows = ({"epoch": 1, "val_loss": math.nan}, {"epoch": 2, "val_loss": 0.4})
    assert best_of(rows, "val_loss") == (0.4, 2)
    trials = [
        judged(lost, Progress(rows[:1]), "all epochs"),
        judged(found, Progress(({"epoch": 1, "val_loss": 9.0},)), "all epochs"),
    ]
    chosen = pick(trials, "val_loss")
    assert chosen is not None and chosen.trial.number == 1 and trials[0].best is None


def test_a_loss_is_the_better_the_lower_it_is() -> None:
    trials = [
        judged(trial, Progress(({"epoch": 1, "val_loss": loss},)), "all epochs")
        for trial, loss in zip(trials_of(replace(CONFIG, monitor="val_loss"), 2, 0), (0.9, 0.4), strict=True)
    ]
    chosen = pick(trials, "val_loss")
    assert chosen is not None and chosen.trial.number == 1


def test_table_is_kept_as_csv_and_json(tmp_path: Path) -> None:
    store, trials = FolderStore(tmp_path), found((0.2, 0.7), ())
    keep_table(store, trials, "val_macro_f1")
    with (tmp_path / "trials.csv").open() as file:
        first, second = csv.DictReader(file)
    assert (first["trial"], first["mixup"], first["optimizer.kind"]) == ("0", "0.0", "adamw")
    assert (first["epochs"], first["val_macro_f1"], first["at epoch"]) == ("2", "0.7000", "2")
    assert (second["epochs"], second["val_macro_f1"]) == ("0", "")
    listed = json.loads((tmp_path / "trials.json").read_text())
    assert [each["val_macro_f1"] for each in listed] == [0.7, None]
    assert table((), "val_macro_f1") == [("trial", "epochs", "val_macro_f1", "at epoch", "ended")]


def test_picked_values_are_a_configuration_otherwise_as_it_was_given(tmp_path: Path) -> None:
    trials = found((0.2,), (0.6,))
    path = tmp_path / "tuned.py"
    path.write_text(picked_source(CONFIG, trials[1], 2, "actoscope batch tune gym"))
    config = load_config(path)
    expected = replace(CONFIG, name="gym-tuned", mixup=trials[1].trial.config.mixup, search=None)
    assert config == replace(expected, optimizer=config.optimizer, description=config.description)
    assert config.optimizer.kind is trials[1].trial.values["optimizer.kind"]
    assert "val_macro_f1 0.6000 on val after epoch 1" in config.description


def test_place_of_a_tuning_is_no_other_s(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    key = tuning_key(CONFIG, "data 0")
    claim(store, key)
    claim(store, tuning_key(replace(CONFIG, description="of another day"), "data 0"))
    other = replace(CONFIG, search=SearchConfig({"mixup": Uniform(0.0, 0.5)}))
    for wrong in (tuning_key(CONFIG, "data 1"), tuning_key(other, "data 0")):
        with pytest.raises(TrainingError, match="take another --output"):
            claim(store, wrong)
    (tmp_path / "tuning.json").write_text("{")
    with pytest.raises(StoreError, match=r"tuning\.json is damaged"):
        claim(store, key)


def test_progress_comes_back_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert read_progress(store, "trials/0001") == Progress()
    kept = Progress(rows(0.1, 0.3), "all epochs")
    keep_progress(store, "trials/0001", kept)
    assert read_progress(store, "trials/0001") == kept
    (tmp_path / "trials" / "0001" / "rows.json").write_text('{"rows": 3}')
    with pytest.raises(StoreError, match=r"rows\.json is damaged"):
        read_progress(store, "trials/0001")
