"""The network of a weights folder as a Keras model, in float32, as it was trained."""

from __future__ import annotations

from typing import Any

import keras

import models.layers  # noqa: F401  # registers the layers that saved networks name
from models.errors import CardError
from models.networks.packed_clip import one_input
from models.weights.cards import MODEL_FILE, ModelCard


def load_network(card: ModelCard) -> Any:
    """→ keras.Model: float (B, T, H, W, 3) in [-1, 1] → logits (B, C) float32. Raises CardError.

    Networks that read optical flow take it as further channels (``models.weights.network_input``).
    """
    path = card.folder / MODEL_FILE
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CardError(f"{path} cannot be loaded: {error}") from error
    classes = model.output_shape[-1]
    if classes != card.num_classes:
        raise CardError(f"{path} has {classes} classes, its card says {card.num_classes}")
    return one_input(model)
