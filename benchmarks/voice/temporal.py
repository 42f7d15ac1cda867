"""A small network that reads joints as they follow one another: statistics do not know what moves before what.

Two convolutions over time see 13 samples (about a second) around each; a clip is told by the mean and the largest value
of what they find. Rows are clips and their mirror images. Nothing of it was tuned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.small_networks.learner import Learner, batches_of
from models.training.config import OptimizerConfig, TrainConfig

NUMBERS = 51  # of a sample: x, y and confidence of 17 joints
WIDTH = 64
SEEDS = 3  # networks whose probabilities are averaged
PLAN = TrainConfig(
    "skeletons", optimizer=OptimizerConfig(learning_rate=1e-3, weight_decay=1e-2), epochs=30, batch_size=32
)


class TemporalNetwork:
    """Learns and answers as scikit-learn's classifiers do. ``weights``: what each class counts."""

    def __init__(self, weights: Mapping[int, float]) -> None:
        self._weights = [weights[index] for index in range(len(weights))]
        self.classes_ = np.arange(len(weights))
        self._networks: list[Learner] = []

    def fit(self, rows: NDArray[Any], targets: NDArray[Any], sample_weight: NDArray[Any]) -> TemporalNetwork:
        """``rows`` (M, T · 51). Every clip has as many rows as another: ``sample_weight`` is not needed.

        Raises ValueError where it is not the same for all.
        """
        if np.ptp(sample_weight):
            raise ValueError("expected as many rows of each clip")
        seen = np.asarray(rows, np.float32)
        self._networks = [self._network(seed, seen.shape) for seed in range(SEEDS)]
        for network in self._networks:
            network.learn(seen, np.asarray(targets))
        return self

    def predict_proba(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """(M, T · 51) → (M, C)."""
        asked = np.asarray(rows, np.float32)
        logits = np.stack([network.logits(asked) for network in self._networks]).astype(np.float64)
        chances = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray((chances / chances.sum(axis=-1, keepdims=True)).mean(axis=0))

    def _network(self, seed: int, shape: tuple[int, ...]) -> Learner:
        import keras  # noqa: PLC0415 - takes seconds to import

        from models.training.run.losses import FocalLoss  # noqa: PLC0415 - as above

        keras.utils.set_random_seed(seed)
        model = temporal_model(shape[1] // NUMBERS, len(self._weights))
        return Learner(model, PLAN, FocalLoss(class_weights=self._weights), batches_of(shape[0], PLAN), whole=False)


def temporal_model(samples: int, classes: int) -> Any:
    """→ the network: (B, T · 51) → logits (B, C)."""
    import keras  # noqa: PLC0415 - takes seconds to import

    layers, ops = keras.layers, keras.ops
    seen = layers.Input((samples * NUMBERS,))
    found = layers.Reshape((samples, NUMBERS))(seen)
    for dilation in (1, 2):
        found = layers.Conv1D(WIDTH, 5, padding="same", dilation_rate=dilation, activation="relu")(found)
        found = layers.Dropout(0.3)(layers.LayerNormalization()(found))
    told = ops.concatenate([ops.mean(found, axis=1), ops.amax(found, axis=1)], axis=-1)
    return keras.Model(seen, layers.Dense(classes)(layers.Dropout(0.5)(told)))


def temporal(factors: dict[int, float]) -> Any:
    return TemporalNetwork(factors)
