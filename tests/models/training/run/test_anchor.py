"""Weights held near their start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.training.config import LossConfig, NetworkConfig, OptimizerConfig, TrainConfig
from models.training.data import Batch
from models.training.run.loop import Network, Splits, Watcher, run_epochs, training_key, weights_of

CONFIG = TrainConfig(
    "anchored",
    network=NetworkConfig(init=""),
    loss=LossConfig(class_weights=""),
    optimizer=OptimizerConfig(learning_rate=0.05),
    epochs=6,
    batch_size=4,
)


@dataclass(frozen=True)
class Points:
    """Four points that a line parts."""

    targets: tuple[int, ...] = (0, 0, 1, 1)

    def batches(self, epoch: int | None) -> Iterator[Batch]:
        places = np.array([[1, 0, 2], [2, 0, 1], [0, 1, 2], [0, 2, 1]], np.float32)
        yield places, np.eye(2, dtype=np.float32)[list(self.targets)]


def fresh() -> Any:
    keras.utils.set_random_seed(1)
    point = keras.Input((3,))
    return keras.Model(point, keras.layers.Dense(2, name="out")(point))


def trained(folder: Path, anchor: float, stop_after: int = 0) -> tuple[np.ndarray[Any, Any], ...]:
    config = replace(CONFIG, loss=replace(CONFIG.loss, anchor=anchor))
    model = fresh()

    def epoch(history: Any) -> None:
        if len(history) == stop_after:
            raise KeyboardInterrupt

    folder.mkdir(exist_ok=True)
    splits = Splits(Points(), None, None)
    run_epochs(Network(model, {}), splits, config, folder, Watcher(lambda *_: None, epoch))
    return weights_of(model)


def moved(weights: tuple[np.ndarray[Any, Any], ...]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(weights, weights_of(fresh()), strict=True))


def test_anchored_weights_stay_near_their_start(tmp_path: Path) -> None:
    free, held = moved(trained(tmp_path / "free", 0.0)), moved(trained(tmp_path / "held", 100.0))
    assert held < 0.25 * free


def test_anchored_training_that_was_interrupted_goes_on_from_the_same_start(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", 0.3)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts", 0.3, stop_after=3)
    for one, other in zip(whole, trained(tmp_path / "parts", 0.3), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_anchor_counts_in_the_name_of_a_training_and_its_absence_does_not() -> None:
    splits = Splits(Points(), None, None)
    keys = {training_key(replace(CONFIG, loss=replace(CONFIG.loss, anchor=value)), splits) for value in (0.0, 0.1, 0.2)}
    assert len(keys) == 3
    assert "anchor=" not in repr(CONFIG)
