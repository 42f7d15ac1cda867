from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

from models.training.run.losses import FocalLoss, balanced_class_weights

LOGITS = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], np.float32)
TARGETS = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], np.float32)
P = math.exp(2) / (math.exp(2) + 1 + math.exp(-1))  # softmax of the first row at its target; the second's is 1/3


def value(loss: FocalLoss, targets: np.ndarray = TARGETS, logits: np.ndarray = LOGITS) -> float:
    return float(keras.ops.convert_to_numpy(loss(targets, logits)))


def test_cross_entropy_is_the_mean_of_minus_log_p() -> None:
    assert value(FocalLoss()) == pytest.approx((-math.log(P) + math.log(3)) / 2, rel=1e-5)


def test_focal_loss_weighs_by_what_is_missing_to_certainty() -> None:
    expected = ((1 - P) ** 2 * -math.log(P) + (2 / 3) ** 2 * math.log(3)) / 2
    assert value(FocalLoss(gamma=2)) == pytest.approx(expected, rel=1e-5)


def test_focal_loss_with_class_weights_multiplies_each_class() -> None:
    expected = (0.5 * (1 - P) ** 2 * -math.log(P) + 3 * (2 / 3) ** 2 * math.log(3)) / 2
    assert value(FocalLoss(gamma=2, class_weights=[0.5, 1, 3])) == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_with_label_smoothing_is_that_of_keras() -> None:
    reference = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    expected = float(keras.ops.convert_to_numpy(reference(TARGETS, LOGITS)))
    assert value(FocalLoss(label_smoothing=0.1)) == pytest.approx(expected, rel=1e-5)


def test_focal_loss_of_certain_logits_has_finite_slopes() -> None:
    import tensorflow as tf

    logits = tf.Variable([[80.0, -80.0], [-80.0, 80.0]])
    with tf.GradientTape() as tape:
        loss = FocalLoss(gamma=0.5)(np.array([[1.0, 0.0], [1.0, 0.0]], np.float32), logits)
    assert np.isfinite(tape.gradient(loss, logits).numpy()).all()
    assert float(loss) == pytest.approx(80, rel=1e-4)  # (0 + 160) / 2


def test_focal_loss_survives_serialisation() -> None:
    loss = FocalLoss(gamma=1.5, label_smoothing=0.2, class_weights=(1, 2, 3))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert value(again) == value(loss)


@pytest.mark.parametrize("arguments", [{"gamma": -1}, {"label_smoothing": 1.0}])
def test_focal_loss_with_impossible_values_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected gamma >= 0"):
        FocalLoss(**arguments)


def test_balanced_class_weights_give_every_class_the_same_sum() -> None:
    assert balanced_class_weights([0, 0, 0, 1], 2) == [4 / 6, 2.0]
    assert balanced_class_weights([0, 0, 2], 3) == [0.75, 1.0, 1.5]


def test_class_weights_by_the_root_lie_between_and_keep_the_mean() -> None:
    weights = balanced_class_weights([0, 0, 0, 0, 1], 2, power=0.5)
    assert weights == pytest.approx([5 / 6, 5 / 3])
    assert (4 * weights[0] + weights[1]) / 5 == pytest.approx(1)
    assert balanced_class_weights([0, 0, 1], 2, power=0) == [1, 1]
