"""How well logits fit targets: the few figures that a training watches after every epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HIGHER_IS_BETTER = {"val_macro_f1": True, "val_accuracy": True, "val_loss": False}


def scores(logits: NDArray[np.float32], targets: Sequence[int]) -> dict[str, float]:
    """float (N, C) → ``loss`` (cross-entropy in nats, unweighted), ``accuracy``, ``macro_f1`` over the classes that
    occur in ``targets``.
    """
    wanted, found = np.asarray(targets), logits.argmax(axis=-1)
    return {
        "loss": cross_entropy(logits, wanted),
        "accuracy": float(np.mean(found == wanted)),
        "macro_f1": float(np.mean([_f1(found == label, wanted == label) for label in np.unique(wanted)])),
    }


def cross_entropy(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Mean of -log softmax at the target, float64 inside."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return float(-log_p[np.arange(len(targets)), targets].mean())


def better(value: float, best: float | None, monitor: str) -> bool:
    """Whether ``value`` of ``monitor`` beats ``best`` (None: nothing yet)."""
    if best is None:
        return True
    return value > best if HIGHER_IS_BETTER[monitor] else value < best


def _f1(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    hits = int(np.sum(found & wanted))
    return 2 * hits / (int(found.sum()) + int(wanted.sum())) if hits else 0.0
