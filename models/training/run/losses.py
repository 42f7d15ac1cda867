"""Losses from logits: cross-entropy and focal, with label smoothing and weights of classes; what holds weights back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from numpy.typing import NDArray


@keras.saving.register_keras_serializable(package="actoscope")
class FocalLoss(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """``-Σ_c w_c · y_c · (1 - p_c)^γ · log p_c`` with ``p = softmax(logits)`` (Lin et al. 2017, equation 5).

    ``gamma`` 0 is categorical cross-entropy. ``label_smoothing`` ε replaces y by ``(1 - ε) y + ε / C`` (Szegedy et al.
    2016). ``class_weights``: C factors, the ``α`` of the paper; none means 1 each. Targets may be mixed (mixup).

    Input: y float (B, C), rows sum to 1; logits float (B, C). Output: the mean over the batch.
    """

    def __init__(
        self,
        gamma: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        name: str = "focal_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if gamma < 0 or not 0 <= label_smoothing < 1:
            raise ValueError(f"expected gamma >= 0 and label_smoothing in 0..1, got {gamma} and {label_smoothing}")
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.class_weights = None if class_weights is None else tuple(float(weight) for weight in class_weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """→ float (B,)."""
        ops = keras.ops
        log_p = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)
        y = ops.cast(y_true, "float32")
        y = y * (1.0 - self.label_smoothing) + self.label_smoothing / y.shape[-1]
        if self.class_weights is not None:
            y = y * ops.convert_to_tensor(self.class_weights, "float32")
        if self.gamma:
            # 1 - p is 0 where the network is sure; a power below 1 has no finite slope there
            y = y * ops.power(ops.maximum(1.0 - ops.exp(log_p), 1e-7), self.gamma)
        return -ops.sum(y * log_p, axis=-1)

    def get_config(self) -> dict[str, Any]:
        config = {"gamma": self.gamma, "label_smoothing": self.label_smoothing, "class_weights": self.class_weights}
        return {**super().get_config(), **config}


def balanced_class_weights(targets: Sequence[int], classes: int, power: float = 1.0) -> list[float]:
    """→ C factors in proportion to ``1 / n_c^power``, whose mean over the clips is 1.

    With ``power`` 1 every class weighs the same in sum. A class without clips gets 1 (it never comes up).
    """
    counts = [sum(1 for target in targets if target == index) for index in range(classes)]
    total = sum(count ** (1 - power) for count in counts if count)  # Σ n_c · n_c^-power
    return [len(targets) / total / count**power if count else 1.0 for count in counts]


class Anchored(keras.regularizers.Regularizer):  # type: ignore[misc]  # keras ships no types
    """``l2 · Σ w² + anchor · Σ (w - start)²`` of one weight: small, and near where it started (Li et al. 2018)."""

    def __init__(self, l2: float, anchor: float, start: NDArray[Any]) -> None:
        self.l2 = l2
        self.anchor = anchor
        self.start = start

    def __call__(self, weight: Any) -> Any:
        moved = keras.ops.sum(keras.ops.square(weight - keras.ops.convert_to_tensor(self.start, weight.dtype)))
        return self.l2 * keras.ops.sum(keras.ops.square(weight)) + self.anchor * moved
